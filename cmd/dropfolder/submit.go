package dropfolder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/checkout/gather"
	"hayloft/cmd/scene"
	"hayloft/cmd/upload"
)

// jobType of all jobs from the watched folder.
const jobType = "simple-blender-render"

// Metadata of jobs from the watched folder.
const (
	metadataKey    = "dropfolder.key"    // tells the version of the drop
	metadataName   = "dropfolder.name"   // of the drop
	metadataEngine = "dropfolder.engine" // that the scene asks for
)

// Names of what is in the spool for a short time.
const (
	unpackedPrefix = "unpacked-"
	fetchingPrefix = "fetching-"
)

// errChanged: the drop is another by now.
var errChanged = errors.New("the drop changed while it was read")

// submitter makes jobs of drops. Methods may be called from many goroutines, for different drops.
type submitter struct {
	Config
	ledger *ledger
	jobs   *knownJobs
	// submitted is told of each job whose frames are to be collected.
	submitted func(job uuid.UUID)
}

func newSubmitter(c Config, records *ledger, submitted func(job uuid.UUID)) *submitter {
	return &submitter{Config: c, ledger: records, jobs: newKnownJobs(c.Manager), submitted: submitted}
}

// handle makes a job of a settled drop. A nil error means that the drop is done with until it changes: it is a job, or
// the reason why not lies beside it, or it was taken away. Other errors are worth another try.
func (s *submitter) handle(ctx context.Context, d drop) error {
	// What is said of the version before is not to stand while this one is sent.
	err := s.ledger.change(ctx, d.name, func(root *os.Root, _ *record) error { return withdraw(root, d.name) })
	if err != nil {
		return err
	}
	job, err := s.prepare(ctx, d)
	if err != nil && ctx.Err() == nil {
		// What was changed or taken away while it was read is not to blame.
		switch changed := s.unchanged(d); {
		case errors.Is(changed, fs.ErrNotExist):
			return nil
		case changed != nil, errors.Is(err, gather.ErrChanging):
			return errChanged
		}
	}
	if err != nil {
		return s.judge(ctx, d.name, d.stamp, err)
	}
	err = s.ledger.change(ctx, d.name, func(_ *os.Root, r *record) error {
		r.Stamp, r.Refused, r.Pending = d.stamp, "", job
		return nil
	})
	if err != nil {
		return err
	}
	return s.finish(ctx, d.name)
}

// judge says beside a drop what a person has to mend, or what is waited for. It gives back what is to be tried again.
func (s *submitter) judge(ctx context.Context, name, stamp string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	refused, ok := asRefusal(err)
	if !ok {
		return errors.Join(err, s.ledger.change(ctx, name, func(root *os.Root, _ *record) error {
			return explain(root, name, fmt.Sprintf("%s is not rendered yet: %s; it is tried again by itself.", name, hindrance(err)))
		}))
	}
	sentence := refused.Error()
	s.Log.Info("a drop cannot be rendered", "drop", name, "why", sentence)
	return s.ledger.change(ctx, name, func(root *os.Root, r *record) error {
		r.Stamp, r.Refused, r.Pending = stamp, sentence, nil
		return explain(root, name, fmt.Sprintf("%s was not rendered: %s.", name, sentence))
	})
}

// prepare sends the files of a drop to the manager and gives the job that is to be submitted. If the manager has a job of
// this very version already, because the record of it was lost, nothing is sent.
func (s *submitter) prepare(ctx context.Context, d drop) (*wire.SubmittedJob, error) {
	key := keyOf(d)
	if _, known, err := s.jobs.find(ctx, key); err != nil || known {
		return s.describe(d, key), err
	}
	source := filepath.Join(s.Dir, d.name)
	if d.kind == otherArchive {
		return nil, refuse(packAgain, "only zip archives can be taken")
	}
	if d.kind == link {
		return nil, refuse("put what it leads to in its place", "it is a link")
	}
	if d.kind == zipFile {
		dir, err := s.spoolFolder()
		if err != nil {
			return nil, err
		}
		defer s.discard(dir)
		if err := s.unpackTo(ctx, source, dir); err != nil {
			return nil, err
		}
		source = dir
	}
	return s.sendProject(ctx, d, source)
}

// spoolFolder makes a folder for files that are of use until a drop has been sent.
func (s *submitter) spoolFolder() (string, error) {
	dir, err := os.MkdirTemp(s.Spool, unpackedPrefix+"*")
	if err != nil {
		return "", fmt.Errorf("make a folder for what is sent: %w", err)
	}
	return dir, nil
}

// discard removes such a folder.
func (s *submitter) discard(dir string) {
	if err := os.RemoveAll(dir); err != nil {
		s.Log.Warn("what was sent could not be removed from the spool", "folder", dir, "error", err)
	}
}

func (s *submitter) unpackTo(ctx context.Context, archive, dir string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open the archive: %w", err)
	}
	defer file.Close() //nolint:errcheck // It was only read.
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open the archive: %w", err)
	}
	members, err := inspect(file, info.Size(), s.Limits)
	if err != nil {
		return err
	}
	return unpack(ctx, members, dir)
}

// sendProject sends what lies at source for a drop.
func (s *submitter) sendProject(ctx context.Context, d drop, source string) (*wire.SubmittedJob, error) {
	p, err := gatherProject(ctx, source, stemOf(d.name, d.kind), s.Limits)
	if err != nil {
		return nil, inWords(err, source, d.name)
	}
	if strings.ContainsAny(p.blend.Path.String(), "{}") {
		return nil, refuse("rename it", "the path %s has braces, which stand for variables of the farm", shown(p.blend.Path.String()))
	}
	found, err := readScene(p.blend.Source)
	if err != nil {
		return nil, inWords(err, source, d.name)
	}
	job := s.describe(d, keyOf(d))
	settings := s.settings(found)
	job.Settings = &settings
	settings["blendfile"] = "{jobs}/to-be-sent.blend"
	if err := s.Manager.CheckJob(ctx, *job); err != nil {
		return nil, err
	}
	copies, err := s.spoolFolder()
	if err != nil {
		return nil, err
	}
	defer s.discard(copies)
	p, features, err := complete(ctx, p, found, copies, s.AllowMissing)
	if err == nil && d.links {
		err = checkLinks(source, p.tree)
	}
	if err == nil {
		err = s.unchanged(d)
	}
	if err != nil {
		return nil, inWords(err, source, d.name)
	}
	if len(features) > 0 {
		job.Requires = &features
	}
	checkoutID, err := s.send(ctx, d, p)
	if err != nil {
		return nil, inWords(err, source, d.name)
	}
	job.Storage = &wire.JobStorageInfo{ShamanCheckoutId: &checkoutID}
	settings["blendfile"] = "{jobs}/" + checkoutID + "/" + p.blend.Path.String()
	settings["render_output_path"] = "{output}/" + outputFolder(checkoutID, d) + "/{timestamp}/######"
	(*job.Metadata)[metadataEngine] = found.Engine
	return job, nil
}

// send uploads the files and has them laid out at the manager.
func (s *submitter) send(ctx context.Context, d drop, p project) (checkoutID string, err error) {
	options := upload.Options{Decode: true}
	if d.kind == folder {
		options.Index = s.Index // What lay unpacked lies nowhere the next time.
	}
	done, err := upload.Tree(ctx, p.tree, upload.Destination{Remote: s.Manager, Generation: s.Manager.Generation}, options)
	if err != nil {
		return "", err
	}
	if err := s.unchanged(d); err != nil {
		return "", err
	}
	files := make([]wire.ShamanFileSpec, 0, done.Manifest.Len())
	for e := range done.Manifest.Entries() {
		files = append(files, wire.ShamanFileSpec{Sha: e.Blob.Digest.String(), Size: e.Blob.Size, Path: e.Path.String()})
	}
	return s.Manager.Checkout(ctx, stemOf(d.name, d.kind), files)
}

// outputFolder is where the frames of a drop go at the manager. It is no other drop's, also of those with the same name but
// for the ending: no two checkouts have one name.
func outputFolder(checkoutID string, d drop) string {
	safe := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\{}:*?"<>|`, r) || unicode.IsControl(r) {
			return '_' // A variable, or what not all platforms can have.
		}
		return r
	}, checkoutID)
	if safe != checkoutID {
		safe += "-" + keyOf(d)[:8]
	}
	return safe
}

// unchanged tells by nil that a drop is still what it was.
func (s *submitter) unchanged(d drop) error {
	now, err := stampDrop(s.Dir, drop{name: d.name, kind: d.kind}, s.Limits)
	if err == nil && now.stamp != d.stamp {
		err = errChanged
	}
	return err
}

// keyOf tells one version of a drop from all others.
func keyOf(d drop) string {
	sum := sha256.Sum256([]byte(d.name + "\x00" + d.stamp))
	return hex.EncodeToString(sum[:])
}

// describe makes the job of a drop, without settings.
func (s *submitter) describe(d drop, key string) *wire.SubmittedJob {
	share := wire.JobShareSpeed
	return &wire.SubmittedJob{
		Name: stemOf(d.name, d.kind), Type: jobType, Priority: s.Priority, SubmitterPlatform: runtime.GOOS, Share: &share,
		Metadata: &wire.JobMetadata{metadataKey: key, metadataName: d.name},
	}
}

// settings are those of a job that renders the scene, but for where its file lies.
func (s *submitter) settings(of scene.Scene) wire.JobSettings {
	settings := wire.JobSettings{
		"frames": of.Frames(), "chunk_size": s.ChunkSize, "fps": of.FPS, "format": of.Format.Name,
		"image_file_extension": of.Format.Extension, "has_previews": of.Previews, "separate_views": of.Views,
	}
	if of.Name != "" {
		settings["scene"] = of.Name
	}
	return settings
}

// finish submits the pending job of a drop, unless the manager has it, and lets it take the place of the earlier
// version's. It can be interrupted anywhere and called again.
func (s *submitter) finish(ctx context.Context, name string) error {
	r, err := s.ledger.get(ctx, name)
	if err != nil || r.Pending == nil {
		return err
	}
	id, err := s.store(ctx, *r.Pending)
	if errors.Is(err, errForgotten) {
		return s.ledger.change(ctx, name, func(_ *os.Root, now *record) error {
			now.Pending, now.Stamp = nil, ""
			return nil
		})
	}
	if err != nil {
		return s.judge(ctx, name, r.Stamp, err)
	}
	if err := s.ledger.change(ctx, name, func(root *os.Root, now *record) error {
		now.Job, now.Ended, now.Waits, now.Pending, now.Refused = id, "", false, nil, ""
		if r.Job != uuid.Nil && r.Job != id {
			if err := setFramesAside(root, name); err != nil {
				return err
			}
		}
		return withdraw(root, name)
	}); err != nil {
		return err
	}
	s.Log.Info("a drop is a job now", "drop", name, "job", id)
	if r.Job != uuid.Nil && r.Job != id && r.Ended == "" {
		s.cancel(ctx, r.Job, name)
	}
	s.submitted(id)
	return nil
}

// errForgotten: a job that the manager had is not there any more, and how to submit it again is not known.
var errForgotten = errors.New("the job is not at the manager any more")

// store submits a job, or finds it at the manager if it was submitted before.
func (s *submitter) store(ctx context.Context, job wire.SubmittedJob) (uuid.UUID, error) {
	key := (*job.Metadata)[metadataKey]
	id, known, err := s.jobs.find(ctx, key)
	if err != nil || known {
		return id, err
	}
	if job.Settings == nil {
		return id, errForgotten
	}
	stored, err := s.Manager.SubmitJob(ctx, job)
	if err != nil {
		return id, errors.Join(err, s.jobs.forget(ctx)) // It may be there all the same.
	}
	return stored.Id, s.jobs.add(ctx, key, stored.Id)
}

// cancel ends the job of an earlier version. One that cannot be canceled renders to its end, and nobody collects it.
func (s *submitter) cancel(ctx context.Context, job uuid.UUID, name string) {
	err := s.Manager.SetJobStatus(ctx, job, wire.JobStatusCancelRequested, "a newer version of "+name+" was put into the watched folder")
	if err != nil && !errors.Is(err, client.ErrTransition) && !errors.Is(err, client.ErrNotFound) {
		s.Log.Warn("the job of an earlier version could not be canceled", "drop", name, "job", job, "error", err)
	}
}

// setFramesAside gives the frames of an earlier version another name, so that they do not mix with those to come.
func setFramesAside(root *os.Root, name string) error {
	frames := beside(name, framesSuffix)
	if _, err := root.Lstat(frames); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s.%d", frames, n)
		if _, err := root.Lstat(aside); err == nil {
			continue
		} else if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("set the earlier frames of %s aside: %w", name, err)
		}
		if err := root.Rename(frames, aside); err != nil {
			return fmt.Errorf("set the earlier frames of %s aside: %w", name, err)
		}
		return nil
	}
}
