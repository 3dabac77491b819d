package api

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/api/wire"
	"hayloft/cas"
)

func marshal(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func unmarshal(text []byte, into any) error { return json.Unmarshal(text, into) }

// FuzzTaskUpdate wants that an update which passes is within the bounds that the scheduler and its database rely on.
func FuzzTaskUpdate(f *testing.F) {
	f.Add([]byte(`{"taskStatus":"completed","activity":"Completed","steps_completed":3,"claim":1,"seq":2}`))
	f.Add([]byte(`{"outputs":[{"root":"/o","path":"a.png","size":1,"sha256":"x"}]}`))
	f.Add([]byte(`{"log":null,"steps_completed":1e300}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var update wire.TaskUpdate
		if unmarshal(body, &update) != nil || checkTaskUpdate(&update) != nil {
			return
		}
		if deref(update.StepsCompleted) < 0 || (update.TaskStatus != nil && !update.TaskStatus.Valid()) {
			t.Fatalf("%s passed", body)
		}
		for _, o := range deref(update.Outputs) {
			if _, err := cas.ParseDigest(o.Sha256); err != nil || o.Size < 0 || o.Path == "" {
				t.Fatalf("output %+v passed", o)
			}
		}
	})
}

// FuzzFileList wants each blob of a list once, in order, with the first path that named it.
func FuzzFileList(f *testing.F) {
	f.Add([]byte(`{"files":[{"sha":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"path":"a"}]}`))
	f.Add([]byte(`{"files":[{"sha":"E3","size":-1,"path":"../x"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var request wire.ShamanRequirementsRequest
		if unmarshal(body, &request) != nil {
			return
		}
		blobs, files, err := distinct(request.Files)
		if err != nil {
			return
		}
		seen := map[cas.Blob]bool{}
		for i, blob := range blobs {
			if seen[blob] || files[i].Sha != blob.Digest.String() || files[i].Size != blob.Size {
				t.Fatalf("blob %v of %s", blob, body)
			}
			seen[blob] = true
		}
	})
}

// FuzzTopics wants that no list of topics panics, and that what is taken names something.
func FuzzTopics(f *testing.F) {
	f.Add("job:0192f3a0-0000-7000-8000-000000000000")
	f.Add("tasklog:")
	f.Add("jobs")
	f.Fuzz(func(t *testing.T, word string) {
		got, err := parseTopics([]string{word})
		chosen := got.jobs || got.workers || got.tags || got.status || got.previews || len(got.ofJob)+len(got.logs) > 0
		if (err == nil) != chosen {
			t.Fatalf("%q: %v, %+v", word, err, got)
		}
	})
}

// FuzzSettings wants that settings which pass say the same when they are read back, and that no password comes out.
func FuzzSettings(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		settings := Settings{MQTT: MQTTSettings{Password: "the password of the broker"}}
		if changeSettings(&settings, body) != nil {
			return
		}
		text := marshal(t, documentOf(settings))
		again := settings
		if err := changeSettings(&again, text); err != nil {
			t.Fatalf("%s passed, and comes back as %s, which does not: %v", body, text, err)
		}
		if diff := cmp.Diff(string(text), string(marshal(t, documentOf(again)))); diff != "" {
			t.Fatalf("%s read back (-first +second):\n%s", body, diff)
		}
		if again.MQTT.Password != settings.MQTT.Password || documentOf(settings).MQTT.Client.Password != "" {
			t.Fatalf("the password of %s changed or was told", body)
		}
	})
}

// FuzzSleepSchedule wants that a schedule which passes is told as it was understood.
func FuzzSleepSchedule(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		var sent wire.WorkerSleepSchedule
		if unmarshal(body, &sent) != nil {
			return
		}
		schedule, err := scheduleFromWire(sent)
		if err != nil {
			return
		}
		again, err := scheduleFromWire(scheduleToWire(schedule))
		if diff := cmp.Diff(schedule, again); err != nil || diff != "" {
			t.Fatalf("%s read back: %v\n%s", body, err, diff)
		}
	})
}
