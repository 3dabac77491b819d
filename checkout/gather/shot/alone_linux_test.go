package shot

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// namespaced makes a command run in a user and a network namespace of its own: no interface there is up, not even loopback.
func namespaced(cmd *exec.Cmd) {
	one := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: one(os.Getuid()), GidMappings: one(os.Getgid()),
	}
}

var mayIsolate = sync.OnceValue(func() error {
	cmd := exec.Command("true")
	namespaced(cmd)
	return cmd.Run()
})

// isolates tells whether programs can be run without a network here. Containers often forbid it; HAYLOFT_NAMESPACES makes
// that an error where it is known to be allowed.
func isolates(t *testing.T) bool {
	t.Helper()
	err := mayIsolate()
	if err != nil && os.Getenv("HAYLOFT_NAMESPACES") != "" {
		t.Fatalf("HAYLOFT_NAMESPACES says that programs can be run without a network: %v", err)
	}
	return err == nil
}

func startAlone(t *testing.T, cmd *exec.Cmd) error {
	t.Helper()
	if isolates(t) {
		namespaced(cmd)
	} else {
		t.Logf("the system does not let programs run without a network (%v), so that Blender has one", mayIsolate())
	}
	return cmd.Start()
}
