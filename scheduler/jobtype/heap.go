package jobtype

import (
	"context"
	"runtime/metrics"
	"time"
)

// heapLookEvery is how often the heap is looked at while a script runs. A text that doubles itself takes longer than
// this for each step once it is large.
const heapLookEvery = 10 * time.Millisecond

// limitHeap returns a context that ends with [ErrMemoryLimit] when the heap of the process has grown by more than limit
// bytes since the call. The engine cannot tell what a single script holds, so all that the process does counts, garbage
// that is not swept yet included. The caller must call release.
func limitHeap(ctx context.Context, limit int64) (limited context.Context, release func()) {
	limited, end := context.WithCancelCause(ctx)
	heap := newHeapGauge()
	most := heap.bytes() + float64(limit)
	done := make(chan struct{})
	go func() {
		defer close(done)
		look := time.NewTicker(heapLookEvery)
		defer look.Stop()
		for {
			select {
			case <-limited.Done():
				return
			case <-look.C:
				if heap.bytes() > most {
					end(ErrMemoryLimit)
				}
			}
		}
	}()
	return limited, func() {
		end(context.Canceled)
		<-done
	}
}

// heapGauge reads the size of the heap without stopping the program.
type heapGauge struct {
	sample [1]metrics.Sample
}

func newHeapGauge() *heapGauge {
	return &heapGauge{sample: [1]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}}
}

func (g *heapGauge) bytes() float64 {
	metrics.Read(g.sample[:])
	return float64(g.sample[0].Value.Uint64())
}
