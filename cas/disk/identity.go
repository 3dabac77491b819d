package disk

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

const (
	generationName = "generation"
	epochName      = "epoch"
	identityLimit  = 256 // bytes; longer files of identity are damaged
	newSuffix      = ".new"
)

// readShort reads a file of at most identityLimit bytes. A file that is not there reads as nothing.
func readShort(path string) (string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, readErr := io.ReadAll(io.LimitReader(file, identityLimit))
	return string(text), errors.Join(readErr, file.Close())
}

// replaceDurably gives the file of that name a new text, in one step and durably.
func (l layout) replaceDurably(names namespace, name, text string) error {
	fresh := l.join(name + newSuffix)
	if err := writeSynced(fresh, text); err != nil {
		return err
	}
	if err := names.replace(fresh, l.join(name)); err != nil {
		return err
	}
	return names.syncDir(string(l))
}

// readGeneration gives the store's generation, or nothing if it has none yet.
func (l layout) readGeneration() (string, error) {
	text, err := readShort(l.join(generationName))
	id, ended := strings.CutSuffix(text, "\n")
	if !ended {
		return "", err
	}
	return id, err
}

// keepGeneration gives the store's generation and makes one where there is none.
func (l layout) keepGeneration(names namespace) (string, error) {
	id, err := l.readGeneration()
	if id != "" || err != nil {
		return id, err
	}
	return l.newGeneration(names)
}

func (l layout) newGeneration(names namespace) (string, error) {
	id := rand.Text()
	return id, l.replaceDurably(names, generationName, id+"\n")
}

// epoch is a time during which the operating system did not start anew. Whole files that are derived from packs are not
// synced; so each carries the epoch in which it was last known to be right, and one of another epoch is a suspect: the
// power may have gone before its bytes were on the disk. The mark is the file's time of modification, in seconds since
// 1970, of which the store makes no other use; it is far from the time of any other file. The zero value is no epoch.
type epoch int64

// epochLimit keeps the marks within the first days of 1970.
const epochLimit = 1 << 20

func (e epoch) mark() time.Time { return time.Unix(int64(e), 0) }

// epochOf reads the mark of a file; zero when it has none.
func epochOf(info fs.FileInfo) epoch {
	if seconds := info.ModTime().Unix(); seconds > 0 && seconds < epochLimit {
		return epoch(seconds)
	}
	return 0
}

func (e epoch) next() epoch { return e%(epochLimit-1) + 1 }

// readEpoch gives the epoch that is noted in the store and the boot of the operating system to which it belongs.
func (l layout) readEpoch() (e epoch, boot string, err error) {
	text, err := readShort(l.join(epochName))
	if err != nil {
		return 0, "", err
	}
	if n, _ := fmt.Sscanf(text, "%d %s\n", &e, &boot); n != 2 || e <= 0 || e >= epochLimit {
		return 0, "", nil
	}
	return e, boot, nil
}

// keepEpoch gives the epoch of this boot. A new one is durable before any file can carry it: otherwise a power cut could
// bring the old number back, and the one after it would stand for two boots. A system that does not name its boots gets
// a new epoch each time.
func (l layout) keepEpoch(names namespace, boot string) (epoch, error) {
	noted, of, err := l.readEpoch()
	if err != nil || noted != 0 && boot != "" && of == boot {
		return noted, err
	}
	if noted == 0 {
		// Files may carry any number whose note was lost; one in a million is not met again by chance.
		var random [4]byte
		if _, err := rand.Read(random[:]); err != nil {
			return 0, err
		}
		noted = epoch(binary.BigEndian.Uint32(random[:]) % (epochLimit - 1))
	}
	if boot == "" {
		boot = "unknown"
	}
	next := noted.next()
	return next, l.replaceDurably(names, epochName, fmt.Sprintf("%d %s\n", next, boot))
}
