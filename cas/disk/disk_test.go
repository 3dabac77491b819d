package disk

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"hayloft/cas"
	"hayloft/cas/castest"
)

// checkLeaks runs the tests and then looks for goroutines that are left.
func checkLeaks(m *testing.M) int {
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// openNew makes a store in a new directory and closes it with the test.
func openNew(t testing.TB) *Store {
	t.Helper()
	return reopen(t, t.TempDir())
}

func reopen(t testing.TB, root string) *Store {
	t.Helper()
	store, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestConformance(t *testing.T) {
	castest.Run(t, func(t *testing.T) cas.Store { return openNew(t) })
}

// large is content that is not small and begins with the text, so that tests can tell it.
func large(text string) []byte {
	content := castest.Content(1, SmallSize+1)
	copy(content, text)
	return content
}
