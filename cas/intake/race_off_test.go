//go:build !race

package intake_test

const mostDraws = "" // as many as rapid makes
