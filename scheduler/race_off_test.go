//go:build !race

package scheduler_test

const randomFarms = "" // as many as rapid makes
