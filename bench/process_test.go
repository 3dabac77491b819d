package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"hayloft/api/client"
)

func TestQuestionsAreAnsweredInOrder(t *testing.T) {
	var out bytes.Buffer
	err := answerQuestions(strings.NewReader("1\n2\n-1\n3\n"), &out, func(n int) (any, error) {
		if n < 0 {
			return nil, errors.New("it is negative")
		}
		return n * 10, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "{\"value\":10}\n{\"value\":20}\n{\"error\":\"it is negative\"}\n{\"value\":30}\n"; got != want {
		t.Errorf("answered\n%swant\n%s", got, want)
	}
	if err := answerQuestions(strings.NewReader("{"), &out, func(int) (any, error) { return nil, nil }); err == nil {
		t.Error("half a question was taken")
	}
}

// TestCrewWorksForBothServers lets real processes work together: a crew that takes every task of a manager's queue, and
// the same crew's way with the plain server.
func TestCrewWorksForBothServers(t *testing.T) {
	const workers, tasks = 3, 20
	b := &bench{quick: true, dir: t.TempDir()}
	_, err := b.withManager(t.Context(), "manager", func(m *runningManager) ([]Row, error) {
		c, err := client.New(m.url, "bench")
		if err != nil {
			return nil, err
		}
		defer c.Close()
		if err := (&queue{client: c, wanted: tasks}).fill(t.Context()); err != nil {
			return nil, err
		}
		crew, err := hireCrew(t.Context(), m.url, workers)
		if err != nil {
			return nil, err
		}
		done, err := crew.work(1000, 60)
		if done.Tasks != tasks || len(done.Claims) != tasks || done.Took <= 0 {
			t.Errorf("the crew did %d tasks with %d claims in %v, want all %d", done.Tasks, len(done.Claims), done.Took, tasks)
		}
		return nil, errors.Join(err, crew.stop())
	})
	if err != nil {
		t.Error(err)
	}
	_, err = b.withPlain(t.Context(), func(url string) ([]Row, error) {
		crew, err := hireCrew(t.Context(), url, workers)
		if err != nil {
			return nil, err
		}
		done, err := crew.work(tasks, 60)
		if done.Tasks != tasks {
			t.Errorf("the plain server gave %d tasks, want %d", done.Tasks, tasks)
		}
		return nil, errors.Join(err, crew.stop())
	})
	if err != nil {
		t.Error(err)
	}
}

// TestBothServersTakeUploads sends a file to each, and a false one, which each refuses.
func TestBothServersTakeUploads(t *testing.T) {
	b := &bench{quick: true, dir: t.TempDir()}
	blob := newContent(1, 1000).blob()
	connections := newWideClient(2)
	defer connections.CloseIdleConnections()
	upload := func(url string) ([]Row, error) {
		if _, err := send(t.Context(), connections, url+filePath(blob), newContent(2, 1000)); err == nil {
			t.Errorf("the false file was taken")
		}
		_, err := send(t.Context(), connections, url+filePath(blob), newContent(1, 1000))
		return nil, err
	}
	if _, err := b.withPlain(t.Context(), upload); err != nil {
		t.Errorf("plain server: %v", err)
	}
	if _, err := b.withManager(t.Context(), "manager", func(m *runningManager) ([]Row, error) { return upload(m.url) }); err != nil {
		t.Errorf("manager: %v", err)
	}
}
