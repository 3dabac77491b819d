package mqtt

import (
	"context"
	"sync"
)

// mostWaiting bounds the queue, in messages.
const mostWaiting = 1000

// message is what waits to be sent.
type message struct {
	topic   Topic
	payload []byte
	number  uint64 // counts up from 1
}

// queue keeps the newest messages. Its head stays in it while it is being sent, so that the bound holds for all.
type queue struct {
	mu      sync.Mutex
	waiting []message
	last    uint64
	dropped uint64
	more    chan struct{} // has an element if something may wait
}

func newQueue() *queue { return &queue{more: make(chan struct{}, 1)} }

// add appends a message. A full queue loses its oldest for it.
func (q *queue) add(topic Topic, payload []byte) {
	q.mu.Lock()
	if len(q.waiting) == mostWaiting {
		q.waiting = q.waiting[1:]
		q.dropped++
	}
	q.last++
	q.waiting = append(q.waiting, message{topic: topic, payload: payload, number: q.last})
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// wait returns when something is in the queue. It gives false when ctx ended and nothing is.
func (q *queue) wait(ctx context.Context) bool {
	for {
		if _, ok := q.head(); ok {
			return true
		}
		select {
		case <-q.more:
		case <-ctx.Done():
			_, ok := q.head()
			return ok
		}
	}
}

func (q *queue) head() (message, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return message{}, false
	}
	return q.waiting[0], true
}

// remove takes the head away, unless it has been dropped since.
func (q *queue) remove(m message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 && q.waiting[0].number == m.number {
		q.waiting = q.waiting[1:]
	}
}

func (q *queue) counts() (waiting int, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.dropped
}
