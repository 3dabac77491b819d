package api

import (
	"context"
	"fmt"
	"regexp"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/scheduler/variables"
)

// flamencoAgent is how Flamenco's add-on and worker introduce themselves. The add-on refuses to submit to a manager of
// another version than its own, so each is told its own (fact sheet, section 17, item 15).
var flamencoAgent = regexp.MustCompile(`^Flamenco/([0-9A-Za-z.+-]{1,32}) \(`)

// GetVersion tells the version in the terms of Flamenco's clients, and Hayloft's own.
func (s *Server) GetVersion(ctx context.Context, _ gen.GetVersionRequestObject) (gen.GetVersionResponseObject, error) {
	short := s.FlamencoVersion
	if match := flamencoAgent.FindStringSubmatch(callOf(ctx).request.UserAgent()); match != nil {
		short = match[1]
	}
	return gen.GetVersion200JSONResponse{
		Version:      fmt.Sprintf("%s (Hayloft %s)", short, s.Version),
		Shortversion: short,
		Name:         s.Name,
		Git:          s.Git,
		Hayloft:      &s.Version,
	}, nil
}

// GetFarmStatus tells what the farm as a whole is doing.
func (s *Server) GetFarmStatus(ctx context.Context, _ gen.GetFarmStatusRequestObject) (gen.GetFarmStatusResponseObject, error) {
	status, err := s.Scheduler.FarmStatus(ctx)
	if err != nil {
		return nil, err
	}
	return gen.GetFarmStatus200JSONResponse{Status: wire.FarmStatus(status)}, nil
}

// GetConfiguration tells the part of the configuration that clients need.
func (s *Server) GetConfiguration(context.Context, gen.GetConfigurationRequestObject) (gen.GetConfigurationResponseObject, error) {
	return gen.GetConfiguration200JSONResponse{StorageLocation: s.SharedStorage, ShamanEnabled: s.shamanOn()}, nil
}

// GetSharedStorage tells where the files of jobs lie, as an audience on a platform sees it.
func (s *Server) GetSharedStorage(_ context.Context, r gen.GetSharedStorageRequestObject) (gen.GetSharedStorageResponseObject, error) {
	audience, err := parseAudience(r.Audience)
	if err != nil {
		return nil, err
	}
	return gen.GetSharedStorage200JSONResponse{
		Location:      s.names.Load().delivery(audience, r.Platform).Text("{" + jobsVariable + "}"),
		Audience:      r.Audience,
		Platform:      r.Platform,
		ShamanEnabled: s.shamanOn(),
	}, nil
}

// GetVariables tells the variables for an audience on a platform, with the implicit ones.
func (s *Server) GetVariables(_ context.Context, r gen.GetVariablesRequestObject) (gen.GetVariablesResponseObject, error) {
	audience, err := parseAudience(r.Audience)
	if err != nil {
		return nil, err
	}
	values := make(gen.GetVariables200JSONResponse)
	names := s.names.Load()
	delivery := names.delivery(audience, r.Platform)
	for name := range names.set.For(audience, r.Platform, nil).Values() {
		values[name] = wire.ManagerVariable{Value: delivery.Text("{" + name + "}"), IsTwoway: names.set[name].IsTwoWay}
	}
	return values, nil
}

func parseAudience(text string) (variables.Audience, error) {
	if audience := variables.Audience(text); audience == variables.ForWorkers || audience == variables.ForUsers {
		return audience, nil
	}
	return "", fmt.Errorf("%w: audience %q; use workers or users", errInvalid, text)
}
