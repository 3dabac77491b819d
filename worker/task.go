package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hayloft/api/wire"
)

// withdrawal is the cause of a task's context when the manager does not want it to go on.
type withdrawal struct {
	reason      string
	stateWanted bool // the manager wants the worker in another state
}

func (w *withdrawal) Error() string { return "the manager withdrew the task: " + w.reason }

// runTask runs one task from its start to the report of its end. It reports whether the manager wants another state.
// The error is not the task's but the agent's: its disk refuses what must be kept.
func (a *Agent) runTask(ctx context.Context, task wire.AssignedTask) (stateWanted bool, err error) {
	log := a.log.With("task", task.Uuid, "name", task.Name)
	log.Info("task started")
	taskCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	report := newReporter(a.courier, task, a.timing.linger)
	stopWatching := a.watch(taskCtx, task, cancel)
	failed := a.perform(taskCtx, task, report)
	stopWatching()

	var gone *withdrawal
	switch {
	case failed == nil:
		log.Info("task completed")
		err = report.finish(ctx, wire.TaskStatusCompleted, "Completed")
	case errors.As(failed, &gone):
		log.Info("task withdrawn", "reason", gone.reason)
		report.note(failed.Error())
		err = report.abandon(ctx)
	case ctx.Err() != nil:
		log.Info("task interrupted because the worker stops")
		report.note("interrupted because the worker stops")
		err = report.abandon(ctx)
	default:
		log.Warn("task failed", "error", failed)
		report.note("Failed: " + failed.Error())
		err = report.finish(ctx, wire.TaskStatusFailed, oneLine("Failed: "+failed.Error()))
	}
	return gone != nil && gone.stateWanted, err
}

// watch cancels the task when the manager wants it or no longer knows the claim. The returned function ends the watch.
func (a *Agent) watch(ctx context.Context, task wire.AssignedTask, cancel context.CancelCauseFunc) (stop func()) {
	key := claimKey{task: task.Uuid}
	if task.Claim != nil {
		key.claim = *task.Claim
	}
	forget := a.courier.onLost(key, func(err error) { cancel(&withdrawal{reason: err.Error()}) })
	ctx, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.askMayRun(ctx, task, cancel)
	}()
	return func() {
		end()
		<-done
		forget()
	}
}

// askMayRun asks until the answer is no or ctx ends. No answer counts as yes: a render is not thrown away because the
// manager is restarted.
func (a *Agent) askMayRun(ctx context.Context, task wire.AssignedTask, cancel context.CancelCauseFunc) {
	retry, next := a.backoff(), a.timing.mayRunAfter
	for pause(ctx, next) == nil {
		asked := time.Now()
		v, err := a.referee.MayRun(ctx, task.Uuid)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if passing(err) {
				a.reach.failed(err)
			}
			next = retry.pause()
			continue
		case !v.MayKeepRunning.MayKeepRunning:
			cancel(&withdrawal{reason: oneLine(v.Reason), stateWanted: v.StatusChangeRequested})
			return
		}
		a.reach.answered()
		retry.reset()
		next = a.again(v.held, asked, a.timing.mayRunPoll)
	}
}

// perform runs the commands of a task, one after the other.
func (a *Agent) perform(ctx context.Context, task wire.AssignedTask, report *reporter) (err error) {
	if a.cfg.Total > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.cfg.Total, &overtime{a.cfg.Total})
		defer cancel()
	}
	x := &execution{dir: a.taskDir(task), report: report, ledger: a.ledger, silence: a.cfg.Silence, grace: a.timing.grace}
	if err := os.MkdirAll(x.dir, 0o700); err != nil {
		return fmt.Errorf("make the task's directory: %w", err)
	}
	defer func() {
		if removeErr := os.RemoveAll(x.dir); removeErr != nil {
			a.log.Warn("a task's directory cannot be removed", "dir", x.dir, "error", removeErr)
		}
	}()
	x.previews = newPreviewer(ctx, a.gallery, task.Uuid, a.log)
	defer func() { x.previews.finish(a.timing.preview) }()
	for i, c := range task.Commands {
		run, known := commandTable[c.Name]
		if !known {
			return fmt.Errorf("command %d: this worker does not know %q; it knows %s", i+1, c.Name, strings.Join(commandNames(), ", "))
		}
		if err := run(ctx, x, params{c}); err != nil {
			var gone *withdrawal
			if errors.As(err, &gone) {
				return gone
			}
			return fmt.Errorf("command %d (%s): %w", i+1, c.Name, err)
		}
	}
	return nil
}

func commandNames() []string {
	var names []string
	for name := range commandTable {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// taskDir is where a claim keeps unfinished files. Its name holds the claim, so that two claims of one task never meet.
func (a *Agent) taskDir(task wire.AssignedTask) string {
	claim := int64(0)
	if task.Claim != nil {
		claim = *task.Claim
	}
	return filepath.Join(a.cfg.DataDir, "tasks", fmt.Sprintf("%s-%d", task.Uuid, claim))
}
