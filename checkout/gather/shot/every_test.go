package shot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/draw"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// shown is one kind of dependency in the project of testdata/every.py or testdata/newer.py.
type shown struct {
	Name, Datablock, Blend string
	Files                  []string
	Shows                  string // the scene whose picture changes without the files; "sound": its sound
	Cell                   [2]int // where in the picture, from its lower left corner
}

const (
	everyFrame = 3
	cellSize   = 12 // pixels
)

// renderer is a program that runs Python scripts with a bpy module.
type renderer struct {
	name  string
	begin []string // of the command, before the script
	makes string   // the script that makes a project
}

// renderers are the Blender on the PATH, and the Pythons that HAYLOFT_BPY lists, which have other kinds of dependencies.
func renderers() []renderer {
	list := []renderer{{"blender", []string{"blender", "-b", "--factory-startup", "-y", "--python-exit-code", "1", "-P"}, "every.py"}}
	for _, python := range filepath.SplitList(os.Getenv("HAYLOFT_BPY")) {
		list = append(list, renderer{python, []string{python}, "newer.py"})
	}
	return list
}

func (r renderer) command(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(r.begin, []string{path, "--"}, args)
	return exec.CommandContext(t.Context(), all[0], all[1:]...)
}

// makeProject makes a project in a folder of its own.
func (r renderer) makeProject(t *testing.T) (top string, kinds []shown) {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cmd := r.command(t, r.makes, top)
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s makes the project: %v\n%s", r.name, err, out)
	}
	text, err := os.ReadFile(filepath.Join(top, "kinds.json"))
	if err == nil {
		err = json.Unmarshal(text, &kinds)
	}
	if err != nil {
		t.Fatal(err)
	}
	return top, kinds
}

// order is what testdata/results.py is told.
type order struct {
	Scene   string     `json:"scene"`
	Results string     `json:"results"`
	Frame   int        `json:"frame"`
	Call    [2]any     `json:"call"` // host and port
	Look    []string   `json:"look"`
	Rounds  [][]string `json:"rounds"` // files that are out of the way in each
}

// within is what a Blender could reach.
type within struct {
	Network bool
	There   []string
}

// isolated is a Blender without any network, if the system lets it be.
const isolated = true

// results renders the scenes of a file, and says what of the order's addresses and paths Blender could reach.
func (r renderer) results(t *testing.T, o order, alone bool) within {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.Results, "order.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := r.command(t, "results.py", path)
	cmd.Dir = o.Results
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := cmd.Start
	if alone {
		start = func() error { return startAlone(t, cmd) }
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var w within
	if text, err = os.ReadFile(filepath.Join(o.Results, "within.json")); err == nil {
		err = json.Unmarshal(text, &w)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// listen takes calls until the test ends, and gives host and port.
func listen(t *testing.T) [2]any {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return [2]any{"127.0.0.1", l.Addr().(*net.TCPAddr).Port}
}

// inRounds gives each kind a round in which no other kind of its part of a picture is missing; round 0 has everything.
func inRounds(kinds []shown) (rounds []int, last int) {
	taken := map[string]int{}
	for _, k := range kinds {
		part := fmt.Sprint(k.Shows, k.Cell)
		taken[part]++
		rounds = append(rounds, taken[part])
		last = max(last, taken[part])
	}
	return rounds, last
}

// placed gives the places in the tree of all files, by where they were on disk.
func placed(s Shot) map[string]string {
	places := map[string]string{}
	for _, f := range s.Tree.Files {
		places[filepath.Join(s.Root, f.Path.String())] = f.Path.String()
	}
	for _, o := range s.Outside {
		places[o.Path] = o.As.String()
	}
	return places
}

// TestEveryKindRendersAlone gathers a project in which each kind of dependency is to be seen or heard, lays it out in an
// empty folder, and renders it there without a network and without the original: the same pixels and the same sound. Then
// the files of each kind are taken away, which must change what that kind shows.
func TestEveryKindRendersAlone(t *testing.T) {
	for _, r := range renderers() {
		t.Run(r.name, func(t *testing.T) { rendersAlone(t, r) })
	}
}

func rendersAlone(t *testing.T, r renderer) {
	t.Helper()
	top, kinds := r.makeProject(t)
	scene, call := filepath.Join(top, "project", "shots", "010.blend"), listen(t)
	original := order{Scene: scene, Results: t.TempDir(), Frame: everyFrame, Call: call, Look: []string{scene}, Rounds: [][]string{{}}}
	if got := r.results(t, original, !isolated); !got.Network || len(got.There) != 1 {
		t.Fatalf("beside the original Blender reaches %+v, so that its absence would prove nothing", got)
	}
	s := gatherOne(t, scene, Options{Root: filepath.Join(top, "project"), Spool: t.TempDir()})
	if len(s.Missing)+len(s.Warnings) > 0 {
		t.Errorf("missing %+v, warnings %q", s.Missing, s.Warnings)
	}
	laid, places := layOut(t, s.Tree), placed(s)
	rounds, last := inRounds(kinds)
	alone := order{Scene: filepath.Join(laid, s.Blend.String()), Results: t.TempDir(), Frame: everyFrame, Call: call, Rounds: make([][]string, last+1)}
	alone.Look = []string{top, scene}
	for i := range alone.Rounds {
		alone.Rounds[i] = []string{}
	}
	for i, k := range kinds {
		alone.Look = append(alone.Look, k.Files...)
		for _, file := range k.Files {
			place, ok := places[file]
			if !ok {
				t.Errorf("%s: %s has no place in the tree", k.Name, file)
				continue
			}
			alone.Rounds[rounds[i]] = append(alone.Rounds[rounds[i]], filepath.Join(laid, place))
		}
	}
	away := top + "-away"
	if err := os.Rename(top, away); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Rename(away, top); err != nil {
			t.Error(err)
		}
	})
	if got := r.results(t, alone, isolated); got.Network == isolates(t) || len(got.There) > 0 {
		t.Fatalf("Blender is not alone: %+v", got)
	}
	checkSame(t, original.Results, alone.Results, kinds)
	checkShown(t, alone.Results, kinds, rounds)
}

// whole is all of a picture; no kind is to be seen there.
var whole = [2]int{-1, -1}

// checkSame compares all results with those beside the original.
func checkSame(t *testing.T, original, alone string, kinds []shown) {
	t.Helper()
	seen := map[string]bool{}
	for _, k := range kinds {
		if k.Cell = whole; seen[k.Shows] {
			continue
		}
		seen[k.Shows] = true
		if d := distance(part(t, original, 0, k), part(t, alone, 0, k)); d != 0 {
			t.Errorf("%s differs by up to %d of 255 from the original", k.Shows, d)
		}
	}
}

// plain is the least difference, of 255, that cannot be another way of rounding.
const plain = 8

// checkShown expects each kind to change its part of the results in the round without its files, and no other part to
// change.
func checkShown(t *testing.T, folder string, kinds []shown, rounds []int) {
	t.Helper()
	for i, k := range kinds {
		before := part(t, folder, 0, k)
		for round := 1; round <= slices.Max(rounds); round++ {
			d := distance(before, part(t, folder, round, k))
			away := slices.ContainsFunc(kinds, func(other shown) bool {
				return other.Shows == k.Shows && other.Cell == k.Cell && rounds[slices.IndexFunc(kinds, func(o shown) bool { return o.Name == other.Name })] == round
			})
			switch {
			case away && d < plain && round == rounds[i]:
				t.Errorf("without the files of %s (%s) %s differs by %d of 255 only", k.Name, k.Datablock, k.Shows, d)
			case !away && d > 0:
				t.Errorf("%s shows something else, by %d of 255, although all files of %s are there in round %d", k.Shows, d, k.Name, round)
			}
		}
	}
}

// part gives the bytes of a result that a kind shows itself in: of its cell of the picture, of another picture whole.
func part(t *testing.T, folder string, round int, k shown) []byte {
	t.Helper()
	path := filepath.Join(folder, fmt.Sprintf("%d-%s", round, k.Shows))
	if k.Shows == "sound" {
		content, err := os.ReadFile(path + ".wav")
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	picture := decode(t, path+".png")
	area := picture.Bounds()
	if k.Shows == "picture" && k.Cell != whole {
		low := image.Pt(k.Cell[0]*cellSize, area.Max.Y-(k.Cell[1]+1)*cellSize)
		area = image.Rectangle{low, low.Add(image.Pt(cellSize, cellSize))}
	}
	pixels := image.NewNRGBA(area)
	draw.Draw(pixels, area, picture, area.Min, draw.Src)
	return pixels.Pix
}

// distance is the largest difference of two bytes at one place; 255 for results of different lengths.
func distance(a, b []byte) int {
	if len(a) != len(b) {
		return 255
	}
	most := 0
	for i := range a {
		most = max(most, int(max(a[i], b[i])-min(a[i], b[i])))
	}
	return most
}
