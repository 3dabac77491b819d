package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"hayloft/api/octets"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/cas/transfer"
)

var (
	_ transfer.Remote     = (*Client)(nil)
	_ transfer.ChunkAsker = (*Client)(nil)
)

// octetStream is the media type of bodies that are neither JSON nor frames.
const octetStream = "application/octet-stream"

// Lacking tells for each of the blobs whether the manager's store lacks it. Up to
// [octets.MaxQuestions] go in one request; a question about none tells [Client.Generation].
func (c *Client) Lacking(ctx context.Context, blobs []cas.Blob) ([]bool, error) {
	lacking := make([]bool, 0, len(blobs))
	for {
		n := min(len(blobs), octets.MaxQuestions)
		some, err := c.ask(ctx, blobs[:n])
		if err != nil {
			return nil, err
		}
		lacking, blobs = append(lacking, some...), blobs[n:]
		if len(blobs) == 0 {
			return lacking, nil
		}
	}
}

func (c *Client) ask(ctx context.Context, blobs []cas.Blob) ([]bool, error) {
	const what = "ask what the store lacks"
	resp, err := c.wire.AskLackingWithBody(ctx, octetStream, bytes.NewReader(octets.AppendQuestions(nil, blobs)))
	bitmap, err := c.octets(what, resp, err, octets.MaxBitmap)
	if err != nil {
		return nil, err
	}
	lacking, err := octets.ParseBitmap(bitmap, len(blobs))
	if err != nil {
		return nil, fmt.Errorf("%s: the answer is not what a Hayloft manager sends: %w", what, err)
	}
	generation := resp.Header.Get("Hayloft-Generation")
	c.generation.Store(&generation)
	return lacking, nil
}

// octets reads an answer 200 of at most so many bytes.
func (c *Client) octets(what string, resp *http.Response, err error, limit int64) ([]byte, error) {
	resp, err = expect(what, resp, err, http.StatusOK)
	if err != nil {
		return nil, err
	}
	defer drain(resp)
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, unreachable(err))
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%s: the answer has more than %d bytes", what, limit)
	}
	return body, nil
}

// Generation names the store that gave the last answer of [Client.Lacking]; empty: it was not asked yet. An answer is good
// for as long as the store keeps its name.
func (c *Client) Generation() string {
	if generation := c.generation.Load(); generation != nil {
		return *generation
	}
	return ""
}

// SendFiles stores the small blobs of some frames, durably when it returns nil; see [transfer.Questions].
func (c *Client) SendFiles(ctx context.Context, frames []byte) error {
	resp, err := c.wire.StoreFilesWithBody(ctx, octets.FramesType, bytes.NewReader(frames))
	_, err = decode[wire.StoredFiles]("send small files", resp, err)
	return err
}

// Begin opens the upload session of a recipe or a delta; see [transfer.Sessions].
func (c *Client) Begin(ctx context.Context, encoded []byte) (transfer.Session, error) {
	return c.announce(ctx, encoded, "announce a file by its recipe", wire.BeginUploadParams{})
}

// Ask tells what an upload would lack, and begins none; see [transfer.ChunkAsker].
func (c *Client) Ask(ctx context.Context, encoded []byte) (transfer.Session, error) {
	only := true
	return c.announce(ctx, encoded, "ask what is new in a file by its recipe", wire.BeginUploadParams{DryRun: &only})
}

func (c *Client) announce(ctx context.Context, encoded []byte, what string, how wire.BeginUploadParams) (transfer.Session, error) {
	resp, err := c.wire.BeginUploadWithBody(ctx, &how, octetStream, bytes.NewReader(encoded))
	session, err := decode[wire.UploadSession](what, resp, err)
	if err != nil {
		return transfer.Session{}, err
	}
	return parseSession(what, session)
}

// Session tells what an upload still lacks; see [transfer.Sessions].
func (c *Client) Session(ctx context.Context, id string) (transfer.Session, error) {
	what := "ask for upload " + id
	resp, err := c.wire.GetUpload(ctx, id)
	session, err := decode[wire.UploadSession](what, resp, err)
	if err != nil {
		return transfer.Session{}, err
	}
	return parseSession(what, session)
}

func parseSession(what string, session wire.UploadSession) (transfer.Session, error) {
	blob, err := parseBlob(wire.BlobInfo{Sha256: session.Sha256, Size: session.Size})
	if err != nil {
		return transfer.Session{}, fmt.Errorf("%s: %w", what, err)
	}
	lacking, err := octets.ParseBitmap(session.Lacking, session.Chunks)
	if err != nil {
		return transfer.Session{}, fmt.Errorf("%s: the answer is not what a Hayloft manager sends: %w", what, err)
	}
	return transfer.Session{ID: session.Id, Blob: blob, Stored: session.Stored, Lacking: lacking, Lanes: session.Lanes}, nil
}

// Append sends the next bytes of a lane; see [transfer.Sessions].
func (c *Client) Append(ctx context.Context, id, lane string, offset int64, frames []byte) (next int64, err error) {
	what := fmt.Sprintf("send %d bytes to upload %s, lane %s", len(frames), id, lane)
	resp, err := c.wire.AppendToUploadWithBody(ctx, id, lane, &wire.AppendToUploadParams{UploadOffset: offset},
		octets.FramesType, bytes.NewReader(frames))
	resp, err = expect(what, resp, err, http.StatusNoContent)
	if err != nil {
		return 0, err
	}
	defer drain(resp)
	if next, err = strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64); err != nil {
		return 0, fmt.Errorf("%s: the answer does not say where the lane goes on: %w", what, err)
	}
	return next, nil
}

// Commit makes the blob of an upload whole; lacking that is not nil says what has to be sent first. See
// [transfer.Sessions].
func (c *Client) Commit(ctx context.Context, id string) (lacking []bool, err error) {
	what := "commit upload " + id
	resp, err := c.wire.CommitUpload(ctx, id)
	resp, err = expect(what, resp, err, http.StatusNoContent, http.StatusConflict)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusNoContent {
		drain(resp)
		return nil, nil
	}
	session, err := decodeBody[wire.UploadSession](what, resp)
	if err != nil {
		return nil, err
	}
	parsed, err := parseSession(what, session)
	return parsed.Lacking, err
}

// Cancel gives an upload up for everybody, and removes what came for it.
func (c *Client) Cancel(ctx context.Context, id string) error {
	resp, err := c.wire.CancelUpload(ctx, id)
	return done("cancel upload "+id, resp, err, http.StatusNoContent)
}
