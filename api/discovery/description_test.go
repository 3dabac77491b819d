package discovery

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const wantDescription = `<?xml version="1.0" encoding="UTF-8"?>
<root xmlns="urn:schemas-upnp-org:device-1-0">
  <specVersion>
    <major>1</major>
    <minor>0</minor>
  </specVersion>
  <URLBase>/</URLBase>
  <device>
    <deviceType>urn:flamenco:manager:0</deviceType>
    <friendlyName>Heu &amp; &lt;Stroh&gt;</friendlyName>
    <manufacturer>Hayloft</manufacturer>
    <modelName>Hayloft</modelName>
    <UDN>uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d</UDN>
    <presentationURL>/</presentationURL>
  </device>
</root>
`

func TestDescription(t *testing.T) {
	page := Description("Heu & <Stroh>")
	got := httptest.NewRecorder()
	page.ServeHTTP(got, httptest.NewRequest(http.MethodGet, DescriptionPath, nil))
	if got.Code != http.StatusOK || got.Header().Get("Content-Type") != `text/xml; charset="utf-8"` {
		t.Errorf("got %d %s", got.Code, got.Header().Get("Content-Type"))
	}
	if diff := cmp.Diff(wantDescription, got.Body.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	var read rootDevice
	if err := xml.Unmarshal(got.Body.Bytes(), &read); err != nil || read.Device.FriendlyName != "Heu & <Stroh>" {
		t.Errorf("read back as %+v, error %v", read, err)
	}

	got = httptest.NewRecorder()
	page.ServeHTTP(got, httptest.NewRequest(http.MethodPost, DescriptionPath, nil))
	if got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: got %d, Allow %q", got.Code, got.Header().Get("Allow"))
	}
}
