package api_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"hayloft/api"
	"hayloft/api/discovery"
)

// TestAddonAndDescription covers what is served beside the contract when the farm has it.
func TestAddonAndDescription(t *testing.T) {
	addon := filepath.Join(t.TempDir(), "addon.zip")
	must(t, os.WriteFile(addon, []byte("PK zipped"), 0o600))
	f := newFarm(t, func(c *api.Config) { c.Addon, c.Description = addon, discovery.Description("test farm") })
	f.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, body := f.do("GET", "/flamenco-addon.zip", nil)
	if resp.StatusCode != 200 || string(body) != "PK zipped" || resp.Header.Get("Content-Type") != "application/zip" {
		t.Errorf("add-on: %d %q %q", resp.StatusCode, resp.Header.Get("Content-Type"), body)
	}
	if resp, _ := f.do("GET", "/flamenco3-addon.zip", nil); resp.StatusCode != 308 || resp.Header.Get("Location") != "/flamenco-addon.zip" {
		t.Errorf("add-on under its old name: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp, _ := f.do("GET", "/upnp/description.xml", nil); resp.StatusCode != 200 || resp.Header.Get("Content-Type") != `text/xml; charset="utf-8"` {
		t.Errorf("description: %d %q", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	must(t, os.Remove(addon))
	if resp, _ := f.do("GET", "/flamenco-addon.zip", nil); resp.StatusCode != 404 {
		t.Errorf("an add-on that is gone: %d", resp.StatusCode)
	}
	plain := newFarm(t)
	if resp, _ := plain.do("GET", "/upnp/description.xml", nil); resp.StatusCode != 404 {
		t.Errorf("description of a farm that is not to be found: %d", resp.StatusCode)
	}
}
