package mqtt

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestTheQueueKeepsTheNewest compares the queue with a list of all that was ever added.
func TestTheQueueKeepsTheNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newQueue()
		added, removed, dropped := 0, 0, 0 // what is left are the numbers above removed + dropped
		var held message
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, mostWaiting).Draw(t, "how many") {
					q.add(Jobs, []byte(fmt.Sprint(added+1)))
					added++
				}
				dropped += max(0, added-removed-dropped-mostWaiting)
			},
			"take": func(*rapid.T) { held, _ = q.head() },
			"finish": func(t *rapid.T) {
				if held.number == uint64(removed+dropped+1) && added > removed+dropped {
					removed++
				}
				q.remove(held)
			},
			"": func(t *rapid.T) {
				waiting, lost := q.counts()
				if waiting != added-removed-dropped || waiting > mostWaiting || lost != uint64(dropped) {
					t.Fatalf("%d wait and %d were dropped; want %d and %d", waiting, lost, added-removed-dropped, dropped)
				}
				head, ok := q.head()
				if ok != (waiting > 0) || ok && string(head.payload) != fmt.Sprint(removed+dropped+1) {
					t.Fatalf("the head is %q, %t; want number %d", head.payload, ok, removed+dropped+1)
				}
			},
		})
	})
}

func TestWaitingEnds(t *testing.T) {
	q := newQueue()
	over, end := context.WithCancel(t.Context())
	end()
	if q.wait(over) {
		t.Error("an empty queue has something although the wait is over")
	}
	woken := make(chan bool, 1)
	go func() { woken <- q.wait(t.Context()) }()
	q.add(Jobs, nil)
	if !take(t, woken) {
		t.Error("nothing is in the queue after something was added")
	}
	if !q.wait(over) {
		t.Error("what waits is forgotten when the wait is over")
	}
}
