package discovery

import (
	"encoding/xml"
	"net/http"
)

// rootDevice is the description of UPnP Device Architecture 1.0, section 2.1, with the parts that a manager has.
type rootDevice struct {
	XMLName xml.Name `xml:"urn:schemas-upnp-org:device-1-0 root"`
	Version struct {
		Major int `xml:"major"`
		Minor int `xml:"minor"`
	} `xml:"specVersion"`
	URLBase string `xml:"URLBase"`
	Device  struct {
		Type         string `xml:"deviceType"`
		FriendlyName string `xml:"friendlyName"`
		Manufacturer string `xml:"manufacturer"`
		ModelName    string `xml:"modelName"`
		UDN          string `xml:"UDN"`
		Presentation string `xml:"presentationURL"`
	} `xml:"device"`
}

// Description answers GET and HEAD with the UPnP description of a manager with the given name, as XML. It is to be mounted
// at [DescriptionPath].
func Description(name string) http.Handler {
	page := rootDevice{URLBase: "/"}
	page.Version.Major = 1
	page.Device.Type, page.Device.UDN, page.Device.Presentation = serviceType, deviceName, "/"
	page.Device.FriendlyName, page.Device.Manufacturer, page.Device.ModelName = name, "Hayloft", "Hayloft"
	body, err := xml.MarshalIndent(page, "", "  ")
	if err != nil {
		panic("discovery: a struct of strings and numbers is always XML: " + err.Error())
	}
	body = append([]byte(xml.Header), append(body, '\n')...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", `text/xml; charset="utf-8"`)
		w.Write(body)
	})
}
