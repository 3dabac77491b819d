// Package mqtt publishes what happens on the farm to an MQTT 5 broker, for those outside who listen there: JSON with quality
// of service 1, under the topics of a Flamenco manager.
//
// [Publisher.Publish] never waits: messages lie in a queue of 1,000 while the broker is slow or away, and a full queue
// drops its oldest, which is counted. [Publisher.Run] keeps the connection, sends in order, and holds each message until
// the broker has acknowledged it, so that one may arrive twice but not get lost on the way. It connects again 10 s after a
// connection broke. When it is told to end, it still sends what waits, for 2 s at most.
//
// It imports nothing of ours. The payloads are those of the event streams; api turns notices into them.
package mqtt
