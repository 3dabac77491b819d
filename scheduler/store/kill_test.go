package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"hayloft/scheduler"
)

// acknowledgeVariable makes the test binary a writer that is to be killed; it holds the path of the database.
const acknowledgeVariable = "HAYLOFT_TEST_ACKNOWLEDGE"

func acknowledgeTo() string { return os.Getenv(acknowledgeVariable) }

// acknowledge inserts jobs from several goroutines for ever, and prints the id of each once it is acknowledged.
func acknowledge(path string) {
	s, err := OpenSQLite(context.Background(), path, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var out sync.Mutex
	for range 4 {
		go func() {
			for {
				job := scheduler.Job{ID: scheduler.JobID{UUID: uuid.New()}, Status: scheduler.JobQueued}
				tasks := []scheduler.NewTask{
					{ID: scheduler.TaskID{UUID: uuid.New()}, Type: "misc"},
					{ID: scheduler.TaskID{UUID: uuid.New()}, Type: "misc", Needs: []int{0}},
				}
				if err := s.Update(context.Background(), func(tx scheduler.Tx) error { return tx.InsertJob(job, tasks) }); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				out.Lock()
				fmt.Println(job.ID)
				out.Unlock()
			}
		}()
	}
	select {}
}

// TestKill kills a writer at random moments. Whatever it had acknowledged is there, whole, after the next open.
func TestKill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "hayloft.db")
	acknowledged := 0
	for range 4 {
		ids := killAfter(t, path, 1+random.IntN(300))
		acknowledged += len(ids)
		findAll(t, path, ids)
	}
	t.Logf("%d acknowledged jobs found", acknowledged)
}

// killAfter runs the writer until it acknowledged n jobs, kills it, and returns all that it acknowledged.
func killAfter(t *testing.T, path string, n int) (ids []scheduler.JobID) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), acknowledgeVariable+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Lines that were in the pipe when the writer died were acknowledged, too. The last one may be cut short.
	for lines := bufio.NewScanner(out); lines.Scan(); {
		id, err := uuid.Parse(lines.Text())
		if err != nil {
			break
		}
		ids = append(ids, scheduler.JobID{UUID: id})
		if len(ids) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || len(ids) < n {
		t.Fatalf("the writer ended by itself after %d jobs: %v", len(ids), err)
	}
	return ids
}

func findAll(t *testing.T, path string, ids []scheduler.JobID) {
	t.Helper()
	s, err := OpenSQLite(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	err = s.View(context.Background(), func(tx scheduler.ReadTx) error {
		for _, id := range ids {
			job, err := tx.JobState(id)
			if err != nil {
				return err
			}
			if job.Tasks.Queued != 2 || job.Runnable != 1 {
				t.Errorf("job %s has %d tasks, %d runnable", id, job.Tasks.Queued, job.Runnable)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Check(context.Background()); err != nil {
		t.Error(err)
	}
}
