package fileindex

import (
	"bytes"
	"database/sql"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// written makes an index of a few files, closes it, and says what it knows.
func written(t *testing.T) (path, root string, want map[string]Known) {
	t.Helper()
	path, root = filepath.Join(t.TempDir(), "files.db"), t.TempDir()
	x := opened(t, path)
	var facts []Fact
	for _, name := range []string{"a", "b", "c"} {
		f := factOf(filepath.Join(root, name), name)
		f.Recipe = recipeOf(t, bytes.Repeat([]byte(name), 200_000))
		facts = append(facts, f)
	}
	if err := x.Remember(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	want, err := x.Under(t.Context(), root)
	if err = errors.Join(err, x.Close()); err != nil {
		t.Fatal(err)
	}
	return path, root, want
}

// checkEmpty: the index was replaced, says so, and works.
func checkEmpty(t *testing.T, x *Index, root string) {
	t.Helper()
	found, err := x.Under(t.Context(), root)
	if err != nil || len(found) != 0 || x.Damage() == nil {
		t.Fatalf("%d files, %v, damage %v", len(found), err, x.Damage())
	}
	if err := x.Remember(t.Context(), []Fact{factOf(filepath.Join(root, "new"), "new")}); err != nil {
		t.Fatal(err)
	}
	if found, err = x.Under(t.Context(), root); err != nil || len(found) != 1 {
		t.Fatalf("%d files, %v", len(found), err)
	}
}

func TestAnotherFileIsReplaced(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"text":      func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("text\n"), 5000), 0o600) },
		"cut short": func(path string) error { return os.Truncate(path, 5000) },
		"of another program": func(path string) error {
			return inDatabase(path, "DROP TABLE files", "PRAGMA application_id = 0", "PRAGMA user_version = 0")
		},
		"of a newer version": func(path string) error { return inDatabase(path, "PRAGMA user_version = 3") },
		"with a wrong record": func(path string) error {
			return inDatabase(path, "UPDATE files SET record = (SELECT max(record) FROM files)")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, root, _ := written(t)
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			x := opened(t, path)
			checkEmpty(t, x, root)
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			again := opened(t, path)
			if found, err := again.Under(t.Context(), root); err != nil || len(found) != 1 || again.Damage() != nil {
				t.Errorf("the next run: %d files, %v, damage %v", len(found), err, again.Damage())
			}
		})
	}
}

func inDatabase(path string, statements ...string) error {
	name, err := dataSource(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", name)
	for _, statement := range statements {
		if err == nil {
			_, err = db.Exec(statement)
		}
	}
	return errors.Join(err, db.Close())
}

func TestWrongRecipeIsNotGivenOut(t *testing.T) {
	path, root, _ := written(t)
	if err := inDatabase(path, "UPDATE recipes SET recipe = (SELECT other.recipe FROM recipes AS other WHERE other.path <> recipes.path LIMIT 1)"); err != nil {
		t.Fatal(err)
	}
	x := opened(t, path)
	if _, ok, err := x.Recipe(t.Context(), filepath.Join(root, "a")); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	checkEmpty(t, x, root)
}

// A damaged file that another process has open stays; this one works in memory.
func TestDamagedWhileAnotherUsesIt(t *testing.T) {
	path, root, _ := written(t)
	other := opened(t, path)
	if err := inDatabase(path, "UPDATE files SET record = x'00'"); err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, opened(t, path), root)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, opened(t, path), root)
}

// Each byte of a sound index is changed in turn, sparsely: what is given out afterwards is what was put in, or nothing.
func TestAnyDamagedByte(t *testing.T) {
	path, root, want := written(t)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const step = 389
	for at := 0; at < len(sound); at += step {
		spoiled := bytes.Clone(sound)
		spoiled[at] ^= 0x55
		if err := os.WriteFile(path, spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := Open(path)
		if err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		found, err := x.Under(t.Context(), root)
		if err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		maps.DeleteFunc(found, func(path string, k Known) bool { return k == want[path] })
		if len(found) > 0 {
			t.Fatalf("byte %d: %v", at, found)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	sound := appendRecord(nil, "/a", Known{Stat: factOf("", "").Stat, Blob: blobOf("b"), HasRecipe: true})
	f.Add("/a", sound)
	f.Add("/b", sound)
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, path string, record []byte) {
		known, err := parseRecord(path, record)
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatal(err)
			}
			return
		}
		if again := appendRecord(nil, path, known); !bytes.Equal(again, record) {
			t.Fatalf("%x was read as %+v, which is written as %x", record, known, again)
		}
	})
}
