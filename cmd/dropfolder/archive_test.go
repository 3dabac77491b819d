package dropfolder

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// entry is one member of an archive that a test makes.
type entry struct {
	name, text string
	change     func(*zip.FileHeader)
	raw        bool // text is written as it is, and the header's numbers are taken as given
}

func pack(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.raw {
			header.CompressedSize64, header.UncompressedSize64 = uint64(len(e.text)), uint64(len(e.text))
			header.CRC32, header.Method = crc32.ChecksumIEEE([]byte(e.text)), zip.Store
		}
		if e.change != nil {
			e.change(header)
		}
		create := w.CreateHeader
		if e.raw {
			create = w.CreateRaw
		}
		to, err := create(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(to, e.text); err != nil && e.text != "" {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func smallLimits() Limits {
	return Limits{Files: 20, Unpacked: 1 << 20, Ratio: 20, RatioFrom: 64 << 10}
}

func inspectBytes(archive []byte, limits Limits) ([]member, error) {
	return inspect(bytes.NewReader(archive), int64(len(archive)), limits)
}

// badArchives are archives that are refused, with what the sentence must say.
func badArchives(t testing.TB) map[string]struct {
	archive []byte
	says    string
} {
	raw := func(name string, change func(*zip.FileHeader)) []byte {
		return pack(t, entry{name: "a.blend", text: "x"}, entry{name: name, text: "data", raw: true, change: change})
	}
	linked := func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }
	good := pack(t, entry{name: "a.blend", text: strings.Repeat("scene", 1000)})
	var many []entry
	for i := range 21 {
		many = append(many, entry{name: strings.Repeat("n", i+1)})
	}
	return map[string]struct {
		archive []byte
		says    string
	}{
		"empty file":         {nil, "the file is empty; copy it here again"},
		"text":               {[]byte("I am no archive at all"), "it is not a zip archive"},
		"RAR":                {[]byte("Rar!\x1a\x07\x00 and so on"), "RAR"},
		"7z":                 {[]byte("7z\xbc\xaf\x27\x1c and so on"), "7z"},
		"gzip":               {[]byte("\x1f\x8b\x08\x00 and so on"), "gzip"},
		"a scene":            {[]byte("BLENDER-v304"), "it is a .blend file; give it the ending .blend"},
		"truncated":          {good[:len(good)/2], "cut short"},
		"list truncated":     {good[:len(good)-10], "cut short"},
		"up and out":         {raw("../evil", nil), `unusable path "../evil"`},
		"out by the middle":  {raw("a/../../evil", nil), "unusable path"},
		"backslashes":        {raw(`..\..\evil`, nil), "unusable path"},
		"absolute":           {raw("/etc/passwd", nil), "unusable path"},
		"drive":              {raw(`C:\evil`, nil), "unusable path"},
		"server":             {raw(`\\server\evil`, nil), "unusable path"},
		"NUL":                {raw("a\x00b", nil), "unusable path"},
		"device":             {raw("tex/con.png", nil), "unusable path"},
		"folder up and out":  {bytes.ReplaceAll(raw("../evil+", nil), []byte("evil+"), []byte("evil/")), "unusable path"},
		"other encoding":     {raw("m\xfcller.png", nil), "unknown encoding"},
		"no UTF-8 after all": {raw("m\x81ller.png", func(h *zip.FileHeader) { h.Flags |= flagUTF8 }), "unknown encoding"},
		"shared bytes":       {overlapping(t), "share bytes"},
		"link":               {raw("link", linked), "is a link; pack it again with the files"},
		"pipe":               {raw("pipe", func(h *zip.FileHeader) { h.SetMode(fs.ModeNamedPipe | 0o644) }), "is not a file"},
		"encrypted":          {raw("secret", func(h *zip.FileHeader) { h.Flags |= flagEncrypted }), "encrypted; pack it again without a password"},
		"hidden names":       {raw("secret", func(h *zip.FileHeader) { h.Flags |= flagMasked }), "encrypted"},
		"unknown method":     {raw("a.png", func(h *zip.FileHeader) { h.Method = 93 }), "method 93"},
		"folder with bytes":  {bytes.ReplaceAll(raw("folder+", nil), []byte("folder+"), []byte("folder/")), "has a content"},
		"same name":          {raw("a.blend", nil), `"a.blend" twice`},
		"other case":         {raw("A.blend", nil), "one name on many computers"},
		"file and folder":    {raw("a.blend/tex.png", nil), "both as a file and as a folder"},
		"many files":         {pack(t, many...), "more than 20 files"},
		"bomb by ratio":      {pack(t, entry{name: "zeros", text: strings.Repeat("\x00", 512<<10)}), "more than 20 times its size"},
		"bomb by size":       {raw("big", func(h *zip.FileHeader) { h.UncompressedSize64 = 1<<20 + 1 }), "more than 0 GiB unpacked"},
		"bomb by overflow":   {raw("big", func(h *zip.FileHeader) { h.UncompressedSize64 = 1<<64 - 1 }), "unpacked"},
		"long list of names": {raw("x", func(h *zip.FileHeader) { h.Extra = make([]byte, 60<<10) }), ""},
	}
}

// overlapping makes an archive in which two members are the same bytes.
func overlapping(t testing.TB) []byte {
	archive := pack(t, entry{name: "a.blend", text: "data", raw: true}, entry{name: "b.blend", text: "data", raw: true})
	// The place of a member stands 42 bytes behind the start of its entry in the list (APPNOTE.TXT, 4.3.12).
	second := bytes.LastIndex(archive, []byte("PK\x01\x02"))
	copy(archive[second+42:], []byte{0, 0, 0, 0})
	return archive
}

func TestBadArchivesAreRefused(t *testing.T) {
	for name, c := range badArchives(t) {
		t.Run(name, func(t *testing.T) {
			members, err := inspectBytes(c.archive, smallLimits())
			if c.says == "" {
				if err != nil {
					t.Fatalf("refused although it is harmless: %v", err)
				}
				return
			}
			var r refusal
			if !errors.As(err, &r) || r.why == "" || r.todo == "" {
				t.Fatalf("got %d members and %v, want a refusal", len(members), err)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("the sentence is %q, it does not say %q", err, c.says)
			}
		})
	}
}

// A list of members that is longer than any honest one is not read to its end.
func TestEndlessListIsNotRead(t *testing.T) {
	var entries []entry
	for range 40 {
		entries = append(entries, entry{name: "a", raw: true, change: func(h *zip.FileHeader) { h.Extra = make([]byte, 60<<10) }})
	}
	archive := pack(t, entries...)
	if _, err := inspectBytes(archive, Limits{Files: 1}.withDefaults()); err == nil || !strings.Contains(err.Error(), "more than 1 files") {
		t.Errorf("got %v", err)
	}
}

func TestUnpack(t *testing.T) {
	archive := pack(t,
		entry{name: "shot/"}, entry{name: "shot/a.blend", text: "scene"}, entry{name: `shot\tex\wood.png`, text: strings.Repeat("wood", 5000)},
		entry{name: "__MACOSX/._a.blend", text: "junk"}, entry{name: "shot/.DS_Store", text: "junk"}, entry{name: "shot/a.blend1", text: "older"},
		entry{name: "shot/empty"}, entry{name: "shot/größe.png", text: "utf-8"})
	members, err := inspectBytes(archive, smallLimits())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unpack(t.Context(), members, dir); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"shot/a.blend": "scene", "shot/tex/wood.png": strings.Repeat("wood", 5000), "shot/empty": "", "shot/größe.png": "utf-8"}
	if got := filesIn(t, dir); len(got) != len(want) {
		t.Errorf("unpacked %q", got)
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil || string(got) != text {
			t.Errorf("%s holds %d bytes: %v", name, len(got), err)
		}
	}
}

// The list of members is bounded, what they hold is not.
func TestLargeMembersAreUnpacked(t *testing.T) {
	large := make([]byte, 2*(directoryFloor+directoryBytes))
	_, _ = rand.NewChaCha8([32]byte{1}).Read(large)
	members, err := inspectBytes(pack(t, entry{name: "a.blend", text: string(large)}), Limits{Files: 1}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unpack(t.Context(), members, dir); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a.blend")); err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes became %d: %v", len(large), len(got), err)
	}
}

func TestNamesOfMembers(t *testing.T) {
	unicodeField := func(of, name string) func(*zip.FileHeader) {
		field := binary.LittleEndian.AppendUint16(nil, unicodePath)
		field = binary.LittleEndian.AppendUint16(field, uint16(5+len(name)))
		field = binary.LittleEndian.AppendUint32(append(field, 1), crc32.ChecksumIEEE([]byte(of)))
		return func(h *zip.FileHeader) { h.Extra = append(append([]byte{9, 9, 1, 0, 7}, field...), name...) }
	}
	for _, c := range []struct {
		name, want string
		change     func(*zip.FileHeader)
	}{
		{name: "größe.png", want: "größe.png"},
		{name: "gr\x94\xe1e\\m\x81ller.png", want: "größe/müller.png"},
		{name: "gr__e.png", want: "größe.png", change: unicodeField("gr__e.png", "größe.png")},
		{name: "renamed.png", want: "renamed.png", change: unicodeField("before.png", "größe.png")},
		{name: "x.png", want: "x.png", change: func(h *zip.FileHeader) { h.Extra = []byte{0x75, 0x70, 0xff, 0xff, 1} }},
		{name: "./tex/wood.png", want: "tex/wood.png"},
		{name: "./"}, {name: "__MACOSX/._a.blend"}, {name: "tex/._wood.png"}, {name: "tex/Icon\r"}, {name: "tex/desktop.ini"}, {name: "a.blend1"},
		{name: "tex/.wood.png.swp"}, {name: ".git/HEAD", change: func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }},
	} {
		members, err := inspectBytes(pack(t, entry{name: c.name, text: "", raw: true, change: c.change}), smallLimits())
		switch {
		case err != nil:
			t.Errorf("%q: %v", c.name, err)
		case c.want == "" && len(members) > 0:
			t.Errorf("%q is taken", c.name)
		case c.want != "" && (len(members) != 1 || members[0].path.String() != c.want):
			t.Errorf("%q gives %v, want %q", c.name, members, c.want)
		}
	}
}

func TestUnpackHoldsMembersToWhatTheySay(t *testing.T) {
	for name, change := range map[string]func(*zip.FileHeader){
		"longer":    func(h *zip.FileHeader) { h.UncompressedSize64-- },
		"shorter":   func(h *zip.FileHeader) { h.UncompressedSize64++ },
		"other CRC": func(h *zip.FileHeader) { h.CRC32++ },
	} {
		t.Run(name, func(t *testing.T) {
			members, err := inspectBytes(pack(t, entry{name: "a", text: "content", raw: true, change: change}), smallLimits())
			if err != nil {
				t.Fatal(err)
			}
			var r refusal
			if err := unpack(t.Context(), members, t.TempDir()); !errors.As(err, &r) || !strings.Contains(r.why, "damaged") {
				t.Errorf("got %v, want a refusal", err)
			}
		})
	}
	members, err := inspectBytes(pack(t, entry{name: "a", text: "content"}), smallLimits())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := unpack(ctx, members, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("an unpacking that was ended gave %v", err)
	}
}

// FuzzArchive holds any archive to the promises: no panic, nothing outside of the folder, no more than the limits, and a
// refusal that is one line.
func FuzzArchive(f *testing.F) {
	f.Add(pack(f, entry{name: "shot/"}, entry{name: "shot/a.blend", text: "scene"}, entry{name: "tex/wood.png", text: "wood"}))
	for _, c := range badArchives(f) {
		f.Add(c.archive)
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		limits := smallLimits()
		members, err := inspectBytes(archive, limits)
		if err == nil {
			base := t.TempDir()
			dir := filepath.Join(base, "in")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			err = unpack(t.Context(), members, dir)
			if entries, readErr := os.ReadDir(base); readErr != nil || len(entries) != 1 {
				t.Fatalf("there is something beside the folder: %v %v", entries, readErr)
			}
			var total int64
			files := filesIn(t, dir)
			for _, name := range files {
				info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
				if err != nil || !info.Mode().IsRegular() {
					t.Fatalf("%s is no file: %v", name, err)
				}
				total += info.Size()
			}
			if len(files) > limits.Files || total > limits.Unpacked+int64(len(files)) {
				t.Fatalf("unpacked %d files of %d bytes", len(files), total)
			}
			if err == nil && len(files) != len(members) {
				t.Fatalf("unpacked %d of %d members", len(files), len(members))
			}
		}
		if err != nil {
			refused, ok := asRefusal(err)
			if !ok {
				return // The file system's own words: a name that is too long for it.
			}
			if text := refused.Error(); strings.ContainsAny(text, "\n\r") || !utf8.ValidString(text) {
				t.Fatalf("the sentence is %q", text)
			}
		}
	})
}

// filesIn lists all files below a folder by their paths in it.
func filesIn(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
