package client

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/google/uuid"

	"hayloft/api/wire"
)

// Variables gives the variables with what they mean to an audience (workers or users) on a platform (as in runtime.GOOS).
func (c *Client) Variables(ctx context.Context, audience, platform string) (map[string]wire.ManagerVariable, error) {
	resp, err := c.wire.GetVariables(ctx, audience, platform)
	return decode[map[string]wire.ManagerVariable]("ask for variables", resp, err)
}

// JobFiles lists the files of a job's checkout; [ErrNotFound] for a job without one.
func (c *Client) JobFiles(ctx context.Context, job uuid.UUID) (wire.JobFiles, error) {
	resp, err := c.wire.ListJobFiles(ctx, job)
	return decode[wire.JobFiles]("list the files of job "+job.String(), resp, err)
}

// JobArchive opens a zip of all outputs and logs of a job; the caller closes it. It ends with an error where the manager
// could not go on.
func (c *Client) JobArchive(ctx context.Context, job uuid.UUID) (io.ReadCloser, error) {
	resp, err := c.wire.GetJobArchive(ctx, job)
	resp, err = expect(fmt.Sprintf("fetch the archive of job %s", job), resp, err, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
