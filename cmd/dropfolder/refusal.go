package dropfolder

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"hayloft/api/client"
	"hayloft/checkout"
	"hayloft/checkout/blend"
	"hayloft/checkout/gather"
)

// refusal is an error that only the person who dropped something can mend. Every other error is met by trying again.
type refusal struct {
	why, todo string
}

// Error is one sentence without its full stop: why, and what to do.
func (r refusal) Error() string { return r.why + "; " + r.todo }

// refuse makes a refusal: what to do, and why, which is formatted.
func refuse(todo, format string, args ...any) error {
	return refusal{why: fmt.Sprintf(format, args...), todo: todo}
}

// verdicts are errors of others that are about what was dropped, and not about the moment.
var verdicts = []error{
	gather.ErrUnusable, gather.ErrTooManyFiles, checkout.ErrConflict, checkout.ErrBadPath,
	blend.ErrNotBlend, blend.ErrNewer, blend.ErrCorrupt, blend.ErrTooLarge,
	client.ErrInvalid, client.ErrCompile, client.ErrBadSetting, client.ErrUnknownJobType, client.ErrBrokenJobType,
	client.ErrTimeLimit, client.ErrBadPath, client.ErrBadManifest, client.ErrTooLarge, client.ErrShamanOff,
}

// passing are errors that go away without a new version of the drop.
var passing = []error{fs.ErrPermission, syscall.ENOSPC, client.ErrNoSpace}

// asRefusal tells whether an error is for the person who dropped something, and makes it a refusal if so.
func asRefusal(err error) (r refusal, ok bool) {
	if errors.As(err, &r) {
		return r, true
	}
	for _, moment := range passing {
		if errors.Is(err, moment) {
			return refusal{}, false
		}
	}
	for _, verdict := range verdicts {
		if errors.Is(err, verdict) {
			return refusal{inOneLine(err), "mend that and put it here again"}, true
		}
	}
	return refusal{}, false
}

// hindrance says what is in the way of a drop for now.
func hindrance(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, client.ErrNoSpace):
		return "there is no room left on the manager's disk (" + inOneLine(err) + ")"
	case errors.Is(err, fs.ErrPermission):
		return "the manager may not read it, so that its rights have to be changed (" + inOneLine(err) + ")"
	}
	return inOneLine(err)
}

// inOneLine is an error as a part of a sentence. Of many files that cannot be used, the first ones are named.
func inOneLine(err error) string {
	text := err.Error()
	var unusable *gather.UnusableError
	if errors.As(err, &unusable) {
		text = fmt.Sprintf("%d of its files cannot be used", len(unusable.Causes))
		for _, cause := range unusable.Causes[:min(mostListed, len(unusable.Causes))] {
			text += "; " + cause.Error()
		}
	}
	return strings.TrimRight(strings.NewReplacer("\r", "", "\n  ", " ", "\n", " ").Replace(text), ". ")
}

// inWords takes the place where a project lies on this machine out of what people read: they know it by the name of the drop.
func inWords(err error, source, drop string) error {
	r, ok := asRefusal(err)
	if !ok {
		return err
	}
	r.why = strings.ReplaceAll(r.why, source+string(filepath.Separator), "")
	r.why = strings.ReplaceAll(r.why, source, drop)
	return r
}
