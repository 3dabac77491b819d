package main

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"hayloft/api/client"
	"hayloft/api/discovery"
	"hayloft/api/mqtt"
)

// outreach is how a manager makes itself known beside its API: to workers that search for it, and to an MQTT broker.
// Neither is needed for the farm to work, so trouble with them is logged and ends nothing.
type outreach struct {
	discoverable bool
	publisher    *mqtt.Publisher // nil: no broker
}

func newOutreach(config managerConfig) (outreach, error) {
	o := outreach{discoverable: config.discoverable}
	if config.mqtt.Broker == "" {
		return o, nil
	}
	mqttConfig := config.mqtt
	mqttConfig.Log = config.log
	var err error
	if o.publisher, err = mqtt.New(mqttConfig); err != nil {
		return o, fmt.Errorf("--mqtt-broker: %w", err)
	}
	return o, nil
}

// reachOut goes on until ctx ends. publishing outlives it, so that what happens at the stop is still published.
func (m *manager) reachOut(ctx, publishing context.Context) error {
	var work errgroup.Group
	if m.outreach.discoverable {
		work.Go(func() error {
			address, err := netip.ParseAddrPort(m.listener.Addr().String())
			if err == nil {
				err = discovery.Advertise(ctx, discovery.Config{Address: address, Scheme: "http", Server: software(), Log: m.log})
			}
			if err != nil {
				m.log.Warn("workers cannot find this manager by themselves; give them --manager", "error", err)
			}
			return nil
		})
	}
	if m.outreach.publisher != nil {
		work.Go(func() error {
			if err := m.outreach.publisher.Run(publishing); err != nil {
				m.log.Warn("events are not published", "error", err)
			}
			return nil
		})
	}
	return work.Wait()
}

// searchTime is how long a worker looks for a manager.
const searchTime = 10 * time.Minute

// findManager searches the local network for a manager that answers.
func (a *app) findManager(ctx context.Context) (string, error) {
	a.Say("searching the local network for a manager; --manager URL spares the search")
	searching, end := context.WithTimeout(ctx, searchTime)
	defer end()
	found, err := discovery.Find(searching, discovery.Search{Log: a.logger(), Usable: func(ctx context.Context, at *url.URL) error {
		c, err := client.New(at.String(), software())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Version(ctx)
		return err
	}})
	if err != nil {
		return "", fmt.Errorf("no manager found in %s: %w; give its address with --manager", searchTime, err)
	}
	a.Say("found %s", found)
	return found.String(), nil
}
