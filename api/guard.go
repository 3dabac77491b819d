package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"hayloft/api/octets"
	"hayloft/cas"
	"hayloft/cas/pack"
	"hayloft/scheduler"
)

// workerPaths is what the paths of all worker operations begin with.
const workerPaths = "/api/v3/worker/"

// shamanPaths is what the paths of the Shaman API begin with.
const shamanPaths = "/api/v3/shaman/"

// Limits of JSON bodies in bytes.
const (
	defaultBodyLimit    = 2 << 20
	taskUpdateBodyLimit = 4 << 20
	fileListBodyLimit   = 64 << 20
)

var bodyLimits = map[string]int64{
	"taskUpdate":                 taskUpdateBodyLimit,
	"shamanCheckoutRequirements": fileListBodyLimit,
	"shamanCheckout":             fileListBodyLimit,
}

// checkedByHandler names the operations whose bodies are decoded straight into their Go shape and checked by the handler:
// a generic validator would cost a multiple of the work itself, for each task update or for each of 50,000 files.
var checkedByHandler = map[string]bool{"taskUpdate": true, "shamanCheckoutRequirements": true, "shamanCheckout": true}

// streamLimits bounds the bodies of the operations of the transfer protocol, in bytes. They are read by their handlers, and
// must have the very media type of the contract.
var streamLimits = map[string]int64{
	"askLacking":     octets.MaxQuestions * octets.QuestionSize,
	"storeFiles":     octets.MaxFrames,
	"readFiles":      octets.MaxFiles * cas.Size,
	"beginUpload":    pack.MaxRecipe,
	"appendToUpload": octets.MaxFrames,
	"readChunks":     octets.MaxBitmap,
}

// call is what handlers need to know of a request besides its parameters.
type call struct {
	request *http.Request
	writer  http.ResponseWriter
	worker  scheduler.WorkerID // who calls; zero outside of worker operations
}

type callKey struct{}

// callOf finds the call that a handler serves. Every operation is behind a guard, which put it there.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// address is the caller's IP address.
func (c *call) address() string {
	host, _, err := net.SplitHostPort(c.request.RemoteAddr)
	if err != nil {
		return c.request.RemoteAddr
	}
	return host
}

// guard is what each request of one operation passes before its handler: sign-in, parameters, body.
type guard struct {
	server     *Server
	worker     bool // HTTP Basic with worker id and secret
	closed     bool // part of the Shaman API, which is off
	holds      bool // honours Prefer: wait=N
	parameters []*openapi3.Parameter
	body       *openapi3.RequestBody // JSON; nil: none, or streamed
	stream     string                // media type of a body of the transfer protocol; empty: none
	limit      int64                 // of body, in bytes
	byHandler  bool
}

// guards makes a guard for each operation of the contract, by operation id.
func (s *Server) guards(doc *openapi3.T) map[string][]echo.MiddlewareFunc {
	all := make(map[string][]echo.MiddlewareFunc)
	for path, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			g := s.newGuard(item, op)
			g.closed = strings.HasPrefix(path, shamanPaths) && !s.shamanOn()
			all[op.OperationID] = []echo.MiddlewareFunc{g.middleware}
		}
	}
	return all
}

func (s *Server) newGuard(item *openapi3.PathItem, op *openapi3.Operation) *guard {
	g := &guard{server: s, limit: defaultBodyLimit, byHandler: checkedByHandler[op.OperationID]}
	g.worker = op.Security != nil && len(*op.Security) > 0
	if limit, ok := bodyLimits[op.OperationID]; ok {
		g.limit = limit
	}
	if limit, ok := streamLimits[op.OperationID]; ok {
		g.limit = limit
		for mediaType := range op.RequestBody.Value.Content {
			g.stream = mediaType
		}
	}
	for _, ref := range append(item.Parameters[:len(item.Parameters):len(item.Parameters)], op.Parameters...) {
		if ref.Value.Name == "Prefer" {
			g.holds = true
		}
		if constrained(ref.Value.Schema.Value) {
			g.parameters = append(g.parameters, ref.Value)
		}
	}
	if op.RequestBody != nil && op.RequestBody.Value.Content.Get(echo.MIMEApplicationJSON) != nil {
		g.body = op.RequestBody.Value
	}
	return g
}

// constrained tells whether a parameter has more to check than its type, which the generated code checks by itself.
func constrained(schema *openapi3.Schema) bool {
	return schema.Pattern != "" || schema.Min != nil || schema.Max != nil || schema.MinLength > 0 || schema.MaxLength != nil ||
		schema.MaxItems != nil || schema.Default != nil || len(schema.Enum) > 0
}

func (g *guard) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if g.closed {
			return errShamanOff
		}
		r := c.Request()
		current := &call{request: r, writer: c.Response()}
		if g.worker {
			id, err := g.server.signIn(r)
			if err != nil {
				return err
			}
			current.worker = id
		}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, current))
		c.SetRequest(r)
		if err := g.checkParameters(c, r); err != nil {
			return err
		}
		if err := g.takeBody(c, r); err != nil {
			return err
		}
		if g.holds {
			applyPreference(r.Header, c.Response().Header())
		}
		return next(c)
	}
}

// signIn finds out which worker calls.
func (s *Server) signIn(r *http.Request) (scheduler.WorkerID, error) {
	name, secret, ok := r.BasicAuth()
	if !ok {
		return scheduler.WorkerID{}, echo.NewHTTPError(http.StatusForbidden, "worker not signed in: no auth header found")
	}
	parsed, err := uuid.Parse(name)
	if err != nil {
		return scheduler.WorkerID{}, fmt.Errorf("worker not signed in: %w", scheduler.ErrUnauthorized)
	}
	id := scheduler.WorkerID{UUID: parsed}
	if err := s.Scheduler.Authenticate(r.Context(), id, secret); err != nil {
		return scheduler.WorkerID{}, fmt.Errorf("worker not signed in: %w", err)
	}
	return id, nil
}

func (g *guard) checkParameters(c echo.Context, r *http.Request) error {
	if len(g.parameters) == 0 {
		return nil
	}
	input := g.input(r)
	input.PathParams = make(map[string]string, len(c.ParamNames()))
	for i, name := range c.ParamNames() {
		value, err := url.PathUnescape(c.ParamValues()[i])
		if err != nil {
			return fmt.Errorf("%w: parameter %s: %w", errInvalid, name, err)
		}
		input.PathParams[name] = value
	}
	for _, p := range g.parameters {
		if err := openapi3filter.ValidateParameter(r.Context(), input, p); err != nil {
			return err
		}
	}
	return nil
}

// takeBody bounds a body. One of JSON is checked against the contract too, and defaults are filled in, unless the handler
// does it.
func (g *guard) takeBody(c echo.Context, r *http.Request) error {
	if g.body == nil && g.stream == "" {
		return nil
	}
	if g.stream != "" && !sameMediaType(r.Header.Get(echo.HeaderContentType), g.stream) {
		return fmt.Errorf("%w: send it as %s", errUnsupportedType, g.stream)
	}
	if r.ContentLength > g.limit {
		return fmt.Errorf("%w: it has %d bytes, at most %d are taken here", errTooLarge, r.ContentLength, g.limit)
	}
	if g.stream != "" {
		r.Body = http.MaxBytesReader(c.Response().Writer, newSteadyBody(r.Body, c.Response().Writer), g.limit)
		return nil
	}
	if r.ContentLength == 0 {
		return &openapi3filter.RequestError{RequestBody: g.body, Err: openapi3filter.ErrInvalidRequired}
	}
	r.Body = http.MaxBytesReader(c.Response().Writer, newSteadyBody(r.Body, c.Response().Writer), g.limit)
	if g.byHandler {
		return nil
	}
	return openapi3filter.ValidateRequestBody(r.Context(), g.input(r), g.body)
}

// sameMediaType tells whether two media types are the same, parameters included.
func sameMediaType(sent, wanted string) bool {
	sentType, sentParams, err := mime.ParseMediaType(sent)
	wantedType, wantedParams, wantedErr := mime.ParseMediaType(wanted)
	return err == nil && wantedErr == nil && sentType == wantedType && maps.Equal(sentParams, wantedParams)
}

func (g *guard) input(r *http.Request) *openapi3filter.RequestValidationInput {
	options := &openapi3filter.Options{KeepValidatedValue: true}
	options.WithCustomSchemaErrorFunc(shortSchemaError)
	return &openapi3filter.RequestValidationInput{Request: r, Options: options}
}

// shortSchemaError names the place and the reason; the library's own text would repeat schema and value in full.
func shortSchemaError(err *openapi3.SchemaError) string {
	return fmt.Sprintf("Error at \"/%s\": %s", strings.Join(err.JSONPointer(), "/"), err.Reason)
}

// preferenceApplied is a header of RFC 7240, section 3.
const preferenceApplied = "Preference-Applied"

// maxWait is how long a request is held at most.
const maxWait = 60 * time.Second

// applyPreference joins several Prefer headers into one, as RFC 7240, section 2 reads them, and says which wait counts.
func applyPreference(request, response http.Header) {
	values := request.Values("Prefer")
	if len(values) == 0 {
		return
	}
	joined := strings.Join(values, ", ")
	request.Set("Prefer", joined)
	if wait := preferredWait(&joined); wait > 0 {
		response.Set(preferenceApplied, fmt.Sprintf("wait=%d", int(wait.Seconds())))
	}
}

// preferredWait reads "wait=N" (seconds) out of a Prefer header, at most [maxWait]. What it cannot read it ignores, as
// RFC 7240 asks; 0 means do not wait.
func preferredWait(prefer *string) time.Duration {
	if prefer == nil {
		return 0
	}
	for preference := range strings.SplitSeq(*prefer, ",") {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		var seconds uint32
		if _, err := fmt.Sscanf(strings.Trim(strings.TrimSpace(value), `"`), "%d", &seconds); err != nil {
			return 0
		}
		return min(time.Duration(seconds)*time.Second, maxWait)
	}
	return 0
}

// held gives a context for a request that may wait: it ends with the request and when the manager stops. The cause of
// the latter is [errStopping]. A request that does not wait keeps its context.
func (s *Server) held(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	if wait <= 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-s.stopping:
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// becauseStopping replaces the error of a held request that the manager's end cut short.
func becauseStopping(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStopping) {
		return errStopping
	}
	return err
}

// strictJSON is echo's JSON with nothing allowed after the value, and with errors in the words of the contract.
type strictJSON struct{}

func (strictJSON) Serialize(c echo.Context, value any, indent string) error {
	enc := json.NewEncoder(c.Response())
	enc.SetIndent("", indent)
	return enc.Encode(value)
}

func (strictJSON) Deserialize(c echo.Context, into any) error {
	body, err := io.ReadAll(c.Request().Body)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fmt.Errorf("request body has an error: %w", err)
	}
	return nil
}

// bodyError is a refusal of a body in the words of the generic validator.
func bodyError(place, reason string) error {
	return echo.NewHTTPError(http.StatusBadRequest,
		fmt.Sprintf("request body has an error: doesn't match schema: Error at %q: %s", place, reason))
}

// writeJSON answers 200.
func writeJSON(w http.ResponseWriter, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write the answer as JSON: %w", err)
	}
	w.Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	_, err = w.Write(append(text, '\n'))
	return err
}
