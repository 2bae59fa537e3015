package gate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/schemas"
)

// Weakens says in words what a policy asks less of than the one before it, one
// setting each: "environments[production].approvals.standard: 1 → 0". A setting
// whose direction this version does not know counts as weakened by any change.
func Weakens(before, after schemas.Policy) []string {
	var out []string
	if was, is := commonOrder(before, after), commonOrder(after, before); was != is {
		out = append(out, "environments: "+was+" → "+is)
	}
	return append(out, weakened("", before, after)...)
}

// WeakensService is Weakens for the file of a service.
func WeakensService(before, after schemas.Service) []string {
	return weakened("services/"+before.Name+": ", before, after)
}

// some names the first of several things.
func some(list []string) string {
	if len(list) == 1 {
		return foreign(list[0])
	}
	return fmt.Sprintf("%s and %d more", foreign(list[0]), len(list)-1)
}

// commonOrder lists the environments that both policies have.
func commonOrder(p, other schemas.Policy) string {
	var names []string
	for _, e := range p.Environments {
		if other.Index(e.Name) >= 0 {
			names = append(names, e.Name)
		}
	}
	return strings.Join(names, ", ")
}

func weakened(prefix string, before, after any) []string {
	was, is := settings(before), settings(after)
	all := maps.Clone(was)
	maps.Copy(all, is)
	var out []string
	for _, path := range slices.Sorted(maps.Keys(all)) {
		old, had := was[path]
		now, has := is[path]
		same := old == now && had == has
		if same || !inBoth(path, was, is) || !direction(path).weaker(old, now, had, has) {
			continue
		}
		out = append(out, line(prefix+path+": "+worded(old, had)+" → "+worded(now, has), maxEvidence))
	}
	return out
}

func worded(value string, there bool) string {
	switch {
	case !there:
		return "none"
	case value == "":
		return "there"
	}
	return value
}

// inBoth: what a setting is part of is in both; of what came or went as a whole
// that is said once.
func inBoth(path string, was, is map[string]string) bool {
	for at, r := range path {
		if r != ']' || at == len(path)-1 {
			continue
		}
		_, had := was[path[:at+1]]
		_, has := is[path[:at+1]]
		if had != has {
			return false
		}
	}
	return true
}

// settings flattens a file. An element of a list is called by its name, or by
// what it says where it has none.
func settings(file any) map[string]string {
	out := map[string]string{}
	var value any
	data, err := json.Marshal(file)
	if err == nil {
		err = json.Unmarshal(data, &value)
	}
	if err != nil {
		return map[string]string{"": err.Error()} // differs from whatever can be read
	}
	flatten(out, "", value)
	return out
}

func flatten(out map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			at := key
			if path != "" {
				at = path + "." + key
			}
			flatten(out, at, child)
		}
	case []any:
		if strings.HasSuffix(path, "steps") { // their order counts
			out[path] = fmt.Sprint(v...)
			return
		}
		for _, child := range v {
			at := path + "[" + called(child) + "]"
			out[at] = ""
			if element, ok := child.(map[string]any); ok {
				flatten(out, at, element)
			}
		}
	default:
		out[path] = fmt.Sprint(v)
	}
}

func called(element any) string {
	fields, ok := element.(map[string]any)
	if !ok {
		return fmt.Sprint(element)
	}
	for _, key := range []string{"gate", "name"} {
		if name, ok := fields[key].(string); ok {
			return name
		}
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return err.Error()
	}
	return strings.NewReplacer("[", "(", "]", ")").Replace(string(data))
}

// A heading is the direction in which a setting gets weaker.
type heading int

const (
	anyWay heading = iota
	noWay
	less    // a smaller number, or an element that goes
	greater // a larger number, or an element that comes
)

// direction looks a setting up, by the longest part that fits its end or what it
// is an element of.
func direction(path string) heading {
	if at := strings.Index(path, "]."); at >= 0 && strings.HasPrefix(path, "environments[") {
		path = path[at+2:]
	}
	bare, _, _ := strings.Cut(path, "[")
	for _, known := range []struct {
		heading heading
		paths   string
	}{
		{noWay, "apiVersion kind cluster.kubeconfigFile cluster.context namespace name traffic.kind traffic.route traffic.service health.reason health.incident"},
		{less, "environments approvals.standard approvals.breaking approvals.security approvals.hotfix approvals.excludeSourceAuthors " +
			"classes.breaking.labels classes.security.labels gates soak.duration soak.minRequests windows.freezes " +
			"rollout.interval hotfix.interval rollback.window verification.observe verification.business " +
			"verification.synthetic"},
		{greater, "soak.errorRateIncreasePoints provenance.keys provenance.attestation windows.open hotfix.waives hotfix.backfill " +
			"rollout.deadline rollback.errorRateIncreasePoints rollback.latencyP99IncreasePercent rollback.healthCheckFailures " +
			"rollback.maxErrorRate maxConcurrent source.branches"},
	} {
		if slices.Contains(strings.Fields(known.paths), bare) && !strings.Contains(path, "].") {
			return known.heading
		}
	}
	switch {
	case bare == "checks" && strings.HasSuffix(path, ".severity"):
		return less
	case strings.HasSuffix(path, "]") && (bare == "checks" || bare == "verification.smoke"):
		return less
	case bare == "verification.smoke" && path == bare: // of a policy: how long it may take
		return greater
	}
	return anyWay
}

func (h heading) weaker(old, now string, had, has bool) bool {
	element := old == "" && now == ""
	switch h {
	case noWay:
		return false
	case less:
		return element && had || !element && amount(now) < amount(old)
	case greater:
		return element && has || !element && amount(now) > amount(old)
	case anyWay:
	}
	return true
}

// amount makes settings comparable; what has none is 0. Of severities it is how
// many are covered.
func amount(value string) float64 {
	if value == "true" {
		return 1
	}
	if covers := slices.Index([]string{"critical", "high", "medium", "low"}, value); covers >= 0 {
		return float64(covers + 1)
	}
	if d, err := time.ParseDuration(value); err == nil {
		return d.Seconds()
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
	if err != nil {
		return 0
	}
	return n
}
