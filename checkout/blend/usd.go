package blend

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A USD file is composed of layers: others that it names as sublayers, references, payloads or value clips. Blender reads
// them all when it opens the first one. Textures that USD materials name are not read by a cache.

// Bounds on what is read of the layers of one trace.
const (
	mostLayers      = 10_000
	mostLayerBytes  = 4 << 30
	mostTokenBytes  = 64 << 20
	mostLayerName   = 4096
	layerReadBuffer = 256 << 10
)

// layers reads each USD file once.
type layers struct {
	named map[string][]layerName
	bytes int64
}

// layerName is a file as a layer names it.
type layerName struct {
	text string
	sure bool // the layer cannot do without it
}

// layersOf lists the USD files that the one at top needs, at any depth, and those of them that do not exist. absolute is
// one that is named by an absolute path, if there are some.
func (t *tracer) layersOf(top string) (found, missing []string, absolute string) {
	seen := map[string]bool{top: true}
	for queue := []string{top}; len(queue) > 0 && len(seen) < mostLayers && t.ctx.Err() == nil; queue = queue[1:] {
		for _, name := range t.layers.read(queue[0]) {
			if strings.HasPrefix(name.text, "/") {
				absolute = name.text
			}
			for _, file := range t.layerFiles(filepath.Dir(queue[0]), name) {
				if seen[file] {
					continue
				}
				seen[file] = true
				switch {
				case t.disk.hasFile(file):
					found, queue = append(found, file), append(queue, file)
				case name.sure:
					missing = append(missing, file)
				}
			}
		}
	}
	return found, missing, absolute
}

var clipNumber = regexp.MustCompile(`#+(\.#+)?`)

// layerFiles gives the paths of what a layer in a folder names: one, or all clips of a template like "clip.###.usd".
func (t *tracer) layerFiles(folder string, name layerName) []string {
	native := filepath.FromSlash(name.text)
	if !filepath.IsAbs(native) {
		native = filepath.Join(folder, native)
	}
	native = filepath.Clean(native)
	base := filepath.Base(native)
	at := clipNumber.FindStringIndex(base)
	if at == nil {
		return []string{native}
	}
	before, after := base[:at[0]], base[at[1]:]
	var clips []string
	for other, isFile := range t.disk.list(filepath.Dir(native)) {
		middle, ok := strings.CutPrefix(other, before)
		if middle, ok = cutSuffixIf(middle, after, ok); ok && isFile && middle != "" && strings.Trim(middle, "0123456789.") == "" {
			clips = append(clips, filepath.Join(filepath.Dir(native), other))
		}
	}
	slices.Sort(clips)
	return clips
}

func cutSuffixIf(text, suffix string, ok bool) (string, bool) {
	rest, cut := strings.CutSuffix(text, suffix)
	return rest, ok && cut
}

// read lists what the layer at a path names. A file that is no USD layer, or a damaged one, names nothing: Blender cannot
// read it either.
func (l *layers) read(path string) []layerName {
	if names, ok := l.named[path]; ok {
		return names
	}
	l.named[path] = nil
	if l.bytes >= mostLayerBytes {
		return nil
	}
	from, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer from.Close() //nolint:errcheck // It is only read.
	names, n := readLayer(io.NewSectionReader(from, 0, mostLayerBytes-l.bytes))
	l.named[path], l.bytes = names, l.bytes+n
	return names
}

// readLayer lists the layers that one names, and how many bytes it looked at.
func readLayer(from *io.SectionReader) (names []layerName, looked int64) {
	head := make([]byte, 88)
	n, _ := from.ReadAt(head, 0) //nolint:errcheck // A shorter file has no such head.
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte("PXR-USDC")) && n == 88:
		tokens := crateTokens(from, head)
		return namesAmong(tokens), int64(len(tokens))
	case bytes.HasPrefix(head, []byte("#usda")) || bytes.HasPrefix(head, []byte("#sdf")):
		return layersInText(bufio.NewReaderSize(from, layerReadBuffer))
	}
	return nil, int64(n)
}

// layerOf cuts what is no path from an asset's name: arguments for the file format, a file inside a package.
func layerOf(asset string) (name string, ok bool) {
	asset, _, _ = strings.Cut(asset, ":SDF_FORMAT_ARGS:")
	asset, _, _ = strings.Cut(asset, "[")
	switch strings.ToLower(path.Ext(asset)) {
	case ".usd", ".usda", ".usdc", ".usdz":
		return asset, len(asset) <= mostLayerName && !strings.ContainsAny(asset, "\x00\n`")
	}
	return "", false
}

// layersInText finds the assets between at signs, and the templates of value clips, which are plain texts.
func layersInText(in *bufio.Reader) (names []layerName, looked int64) {
	s := scanner{in: in}
	for {
		c, ok := s.next()
		switch {
		case !ok:
			return names, s.looked
		case c == '#':
			s.until("\n", false)
		case c == '@':
			text := s.until(s.fence("@"), false)
			if name, ok := layerOf(text); ok {
				names = append(names, layerName{name, true})
			}
		case c == '"' || c == '\'':
			text := s.until(s.fence(string(c)), true)
			if name, ok := layerOf(text); ok && strings.Contains(name, "#") {
				names = append(names, layerName{name, false})
			}
		}
	}
}

// scanner goes through the text of a layer.
type scanner struct {
	in     *bufio.Reader
	looked int64
}

func (s *scanner) next() (c byte, ok bool) {
	c, err := s.in.ReadByte()
	s.looked++
	return c, err == nil
}

// fence is what ends a text that began with a mark: the mark, or three of them.
func (s *scanner) fence(mark string) string {
	two, _ := s.in.Peek(2) //nolint:errcheck // At the end of the file there is no longer one.
	if string(two) != mark+mark {
		return mark
	}
	s.in.Discard(2) //nolint:errcheck // They were seen.
	return mark + mark + mark
}

// until reads up to an end, and gives what comes before it, as far as it can be a name.
func (s *scanner) until(end string, escapes bool) string {
	var text []byte
	tail := make([]byte, 0, 3)
	for {
		c, ok := s.next()
		if !ok {
			return ""
		}
		if escapes && c == '\\' {
			s.next()
			tail = tail[:0]
			continue
		}
		if len(text) <= mostLayerName+len(end) {
			text = append(text, c)
		}
		if tail = append(tail, c); len(tail) > len(end) {
			tail = tail[1:]
		}
		if string(tail) == end {
			return strings.TrimSuffix(string(text), end)
		}
	}
}

// crateTokens reads the texts of a binary layer, each ended by a NUL: every name in it is one of them. Layout: the file
// begins with "PXR-USDC", 8 bytes of version and the place of the table of contents; that has entries of a name and two
// numbers; texts are packed by LZ4 since version 0.4.
func crateTokens(from *io.SectionReader, head []byte) []byte {
	order := binary.LittleEndian
	at := int64(order.Uint64(head[16:]))
	count := make([]byte, 8)
	if _, err := from.ReadAt(count, at); err != nil || at < 88 {
		return nil
	}
	const entrySize, mostEntries = 32, 64
	table := make([]byte, entrySize*min(order.Uint64(count), mostEntries))
	if _, err := from.ReadAt(table, at+8); err != nil {
		return nil
	}
	for entry := range slices.Chunk(table, entrySize) {
		if cut(entry[:16]) != "TOKENS" {
			continue
		}
		start, size := int64(order.Uint64(entry[16:])), int64(order.Uint64(entry[24:]))
		if start < 0 || start > from.Size() || size < 24 || size > min(mostTokenBytes, from.Size()-start) {
			return nil
		}
		section := make([]byte, size)
		if _, err := from.ReadAt(section, start); err != nil {
			return nil
		}
		if head[8] == 0 && head[9] < 4 {
			return section[16:]
		}
		plain, packed := order.Uint64(section[8:]), order.Uint64(section[16:])
		if plain > mostTokenBytes || packed > uint64(size-24) {
			return nil
		}
		return unpackTokens(section[24:24+packed], int(plain))
	}
	return nil
}

// namesAmong finds the layers among texts. Which of them are layers and which are mere texts is not to be told, so that
// only those are sure that begin as relative paths.
func namesAmong(tokens []byte) []layerName {
	var names []layerName
	for token := range bytes.SplitSeq(tokens, []byte{0}) {
		if len(token) < 5 || len(token) > 2*mostLayerName {
			continue
		}
		if name, ok := layerOf(string(token)); ok {
			sure := strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../")
			names = append(names, layerName{name, sure})
		}
	}
	return names
}

// unpackTokens undoes USD's packing: a count of pieces, 0 for a single one, then the pieces, each with its length before
// it if there are several. What comes behind damage is left out.
func unpackTokens(packed []byte, size int) []byte {
	if len(packed) == 0 {
		return nil
	}
	pieces, packed := int(packed[0]), packed[1:]
	if pieces == 0 {
		return appendLZ4(nil, packed, size)
	}
	var plain []byte
	for range pieces {
		if len(packed) < 4 {
			return plain
		}
		n := int64(binary.LittleEndian.Uint32(packed))
		if packed = packed[4:]; n > int64(len(packed)) {
			return plain
		}
		plain = appendLZ4(plain, packed[:n], size)
		packed = packed[n:]
	}
	return plain
}

// appendLZ4 unpacks an LZ4 block (format: github.com/lz4/lz4, lz4_Block_format.md) up to a size of all that was unpacked.
func appendLZ4(plain, packed []byte, size int) []byte {
	base := len(plain) // Pieces do not look back into each other.
	for len(packed) > 0 && len(plain) < size {
		token := packed[0]
		literals, rest, ok := lz4Length(int(token>>4), packed[1:])
		if !ok || literals > min(len(rest), size-len(plain)) {
			return plain
		}
		plain, packed = append(plain, rest[:literals]...), rest[literals:]
		if len(packed) < 2 {
			return plain
		}
		back := int(binary.LittleEndian.Uint16(packed))
		match, rest, ok := lz4Length(int(token&15), packed[2:])
		if match += 4; !ok || back == 0 || back > len(plain)-base {
			return plain
		}
		for range min(match, size-len(plain)) {
			plain = append(plain, plain[len(plain)-back])
		}
		packed = rest
	}
	return plain
}

// lz4Length reads the bytes that a length of 15 or more goes on in.
func lz4Length(n int, packed []byte) (length int, rest []byte, ok bool) {
	if n < 15 {
		return n, packed, true
	}
	for i, c := range packed {
		if n += int(c); c != 255 {
			return n, packed[i+1:], n <= mostTokenBytes
		}
	}
	return 0, nil, false
}
