package schemas

import (
	"fmt"
	"slices"
)

// NotEnforced lists what a policy states in so many words and this version does not
// carry out, as warnings. Defaults are not listed: nobody relies on what nobody wrote.
func (p Policy) NotEnforced() Problems {
	var ps Problems
	for i := range p.Environments {
		at := fmt.Sprintf("environments[%d]", i)
		for _, setting := range []string{
			"verification", "maxConcurrent",
			"rollback.latencyP99IncreasePercent",
		} {
			p.origin.warn(&ps, at+"."+setting)
		}
	}
	return p.origin.located(ps)
}

// NotEnforced lists what a service states in so many words and this version does not
// carry out, as warnings.
func (s Service) NotEnforced() Problems {
	var ps Problems
	for _, setting := range []string{
		"metrics.latency", "metrics.business", "verification.smoke", "verification.synthetic",
	} {
		s.origin.warn(&ps, setting)
	}
	return s.origin.located(ps)
}

func (o *origin) warn(ps *Problems, path string) {
	if !o.has(path) {
		return
	}
	*ps = append(*ps, Problem{
		Path:     path,
		Message:  path + " is not enforced by this version",
		Remedy:   "do not rely on it yet",
		Severity: SeverityWarning,
	})
}

func (o *origin) located(ps Problems) Problems {
	if len(ps) > 0 {
		o.locate(ps)
		ps.Sort()
	}
	return slices.Clip(ps)
}
