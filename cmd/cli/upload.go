package cli

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// UploadProgress shows a tree on its way into a store: first how much is read, and when that is done how much is sent,
// which goes on beside it all the time.
type UploadProgress struct {
	output  *Output
	mu      sync.Mutex
	reading *Progress
	read    bool
	sending *Progress
}

// UploadProgress starts to show an upload.
func (o *Output) UploadProgress() *UploadProgress { return &UploadProgress{output: o} }

// Reading tells how many bytes were read. Both numbers may change either way.
func (u *UploadProgress) Reading(done, total int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.reading == nil {
		u.reading = u.output.BytesProgress("reading", total)
	}
	u.reading.SetTotal(total)
	u.reading.Set(done)
	if done >= total && !u.read {
		u.read = true
		u.reading.End()
	}
}

// Sending tells how many bytes were sent, of how many that are known to be lacking.
func (u *UploadProgress) Sending(done, total int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.reading != nil && !u.read || total == 0 {
		return
	}
	if u.sending == nil {
		u.sending = u.output.BytesProgress("sending", total)
	}
	u.sending.SetTotal(total)
	u.sending.Set(done)
}

// End leaves the bars as they are.
func (u *UploadProgress) End() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.reading != nil && !u.read {
		u.read = true
		u.reading.End()
	}
	if u.sending != nil {
		u.sending.End()
	}
}

// ParseBytes reads a number of bytes as people write it: "500k", "5MB", "1.5 GB", in powers of 1000, or "5MiB" in powers
// of 1024. Empty is 0.
func ParseBytes(text string) (int64, error) {
	trimmed := strings.ToLower(strings.TrimSpace(text))
	if trimmed == "" {
		return 0, nil
	}
	number := strings.TrimRight(trimmed, "kmgtib ")
	unit := strings.TrimSpace(trimmed[len(number):])
	factor, known := byteUnits[strings.TrimSuffix(unit, "b")]
	value, err := strconv.ParseFloat(number, 64)
	if !known || err != nil || value < 0 || value*factor > 1<<62 {
		return 0, fmt.Errorf("%q is no number of bytes; write it like 500k, 5MB or 2MiB", text)
	}
	return int64(value * factor), nil
}

var byteUnits = map[string]float64{"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}
