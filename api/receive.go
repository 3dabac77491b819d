package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"hayloft/api/gen"
	"hayloft/api/octets"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/cas/intake"
	"hayloft/cas/pack"
)

// Intake is the receiving side of the transfer protocol; see [hayloft/cas/intake.Intake].
type Intake interface {
	Questions
	Lanes
	Sessions
}

// Questions are how small blobs come.
type Questions interface {
	Lacking(ctx context.Context, blobs []cas.Blob) ([]bool, error)
	TakeFiles(ctx context.Context, body io.Reader) (taken int, err error)
}

// Sessions are how large blobs come.
type Sessions interface {
	Begin(ctx context.Context, encoded []byte) (intake.Session, error)
	Ask(ctx context.Context, encoded []byte) (intake.Session, error)
	Session(ctx context.Context, id intake.SessionID) (intake.Session, error)
	Commit(ctx context.Context, id intake.SessionID) error
	Cancel(ctx context.Context, id intake.SessionID) error
}

// Lanes are how the chunks of large blobs come.
type Lanes interface {
	Append(ctx context.Context, id intake.SessionID, lane string, offset int64, body io.Reader) (next int64, err error)
}

// Cutter is told of blobs that came whole, and gives them recipes; see [hayloft/cas/intake.Cutter].
type Cutter interface{ Offer(blob cas.Blob) }

// offer tells the cutter, if there is one.
func (s *Server) offer(blob cas.Blob) {
	if s.Cutter != nil {
		s.Cutter.Offer(blob)
	}
}

// AskLacking tells which of many blobs the store lacks.
func (s *Server) AskLacking(ctx context.Context, r gen.AskLackingRequestObject) (gen.AskLackingResponseObject, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the questions: %w", err)
	}
	blobs, err := octets.ParseQuestions(body)
	if err != nil {
		return nil, err
	}
	lacking, err := s.Intake.Lacking(ctx, blobs)
	if err != nil {
		return nil, err
	}
	bitmap := octets.Bitmap(lacking)
	return gen.AskLacking200ApplicationoctetStreamResponse{
		Body: bytes.NewReader(bitmap), ContentLength: int64(len(bitmap)),
		Headers: gen.AskLacking200ResponseHeaders{HayloftGeneration: s.Recipes.Generation()},
	}, nil
}

// occupy waits for one of a bounded number of places. The caller calls leave at the end.
func occupy(ctx context.Context, places chan struct{}) (leave func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// StoreFiles takes many small files in. The answer 200 means that they are on stable storage.
func (s *Server) StoreFiles(ctx context.Context, r gen.StoreFilesRequestObject) (gen.StoreFilesResponseObject, error) {
	leave, err := occupy(ctx, s.uploads)
	if err != nil {
		return nil, err
	}
	defer leave()
	taken, err := s.Intake.TakeFiles(ctx, r.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errCutShort) {
		err = fmt.Errorf("%w: %w", pack.ErrBadFrame, err)
	}
	if err != nil {
		return nil, err
	}
	return gen.StoreFiles200JSONResponse{Taken: taken}, nil
}

// BeginUpload opens the session of a recipe, or only tells what it would lack.
func (s *Server) BeginUpload(ctx context.Context, r gen.BeginUploadRequestObject) (gen.BeginUploadResponseObject, error) {
	weight := callOf(ctx).request.ContentLength
	if weight < 0 {
		return nil, errLengthRequired
	}
	if err := s.recipes.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	defer s.recipes.Release(weight)
	encoded := make([]byte, weight)
	if _, err := io.ReadFull(r.Body, encoded); err != nil {
		return nil, fmt.Errorf("read a recipe of %d bytes: %w", weight, err)
	}
	begin := s.Intake.Begin
	if deref(r.Params.DryRun) {
		begin = s.Intake.Ask
	}
	session, err := begin(ctx, encoded)
	if err != nil {
		return nil, err
	}
	return gen.BeginUpload200JSONResponse(sessionToWire(session)), nil
}

func sessionToWire(session intake.Session) wire.UploadSession {
	lanes := session.Lanes
	if lanes == nil {
		lanes = map[string]int64{}
	}
	return wire.UploadSession{
		Id: session.ID.String(), Sha256: session.Blob.Digest.String(), Size: session.Blob.Size, Stored: session.Stored,
		Chunks: len(session.Lacking), Lacking: octets.Bitmap(session.Lacking), Lanes: lanes,
	}
}

// GetUpload tells what a session lacks.
func (s *Server) GetUpload(ctx context.Context, r gen.GetUploadRequestObject) (gen.GetUploadResponseObject, error) {
	id, err := intake.ParseSessionID(r.UploadId)
	if err != nil {
		return nil, err
	}
	session, err := s.Intake.Session(ctx, id)
	if err != nil {
		return nil, err
	}
	return gen.GetUpload200JSONResponse(sessionToWire(session)), nil
}

// CancelUpload ends a session for everybody.
func (s *Server) CancelUpload(ctx context.Context, r gen.CancelUploadRequestObject) (gen.CancelUploadResponseObject, error) {
	id, err := intake.ParseSessionID(r.UploadId)
	if err != nil {
		return nil, err
	}
	if err := s.Intake.Cancel(ctx, id); err != nil {
		return nil, err
	}
	return gen.CancelUpload204Response{}, nil
}

// AppendToUpload takes a piece of a lane.
func (s *Server) AppendToUpload(ctx context.Context, r gen.AppendToUploadRequestObject) (gen.AppendToUploadResponseObject, error) {
	id, err := intake.ParseSessionID(r.UploadId)
	if err != nil {
		return nil, err
	}
	leave, err := occupy(ctx, s.uploads)
	if err != nil {
		return nil, err
	}
	defer leave()
	next, err := s.Intake.Append(ctx, id, r.Lane, r.Params.UploadOffset, r.Body)
	var elsewhere *intake.OffsetError
	switch {
	case errors.As(err, &elsewhere):
		leaveBody(callOf(ctx).request, callOf(ctx).writer.Header())
		return laneElsewhere(elsewhere), nil
	case err != nil:
		return nil, err
	}
	return gen.AppendToUpload204Response{Headers: gen.AppendToUpload204ResponseHeaders{UploadOffset: next}}, nil
}

func laneElsewhere(err *intake.OffsetError) gen.AppendToUpload409JSONResponse {
	status, reason := http.StatusConflict, wire.ReasonWrongOffset
	return gen.AppendToUpload409JSONResponse{
		Body:    wire.Error{Code: &status, Reason: &reason, Message: err.Error()},
		Headers: gen.AppendToUpload409ResponseHeaders{UploadOffset: err.Want},
	}
}

// CommitUpload makes the blob of a session whole. The answer 204 means that it is on stable storage.
func (s *Server) CommitUpload(ctx context.Context, r gen.CommitUploadRequestObject) (gen.CommitUploadResponseObject, error) {
	id, err := intake.ParseSessionID(r.UploadId)
	if err != nil {
		return nil, err
	}
	err = s.Intake.Commit(ctx, id)
	var incomplete *intake.IncompleteError
	if errors.As(err, &incomplete) {
		session, err := s.Intake.Session(ctx, id)
		if err != nil {
			return nil, err
		}
		session.Lacking = incomplete.Lacking
		return gen.CommitUpload409JSONResponse(sessionToWire(session)), nil
	}
	if err != nil {
		return nil, err
	}
	return gen.CommitUpload204Response{}, nil
}
