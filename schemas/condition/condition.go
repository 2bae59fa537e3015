package condition

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
)

const (
	// MaxLength is the largest number of bytes of a condition.
	MaxLength = 2000
	// maxDepth and maxNesting bound how deep expressions and comprehensions are nested.
	maxDepth   = 50
	maxNesting = 2
)

// ErrUnknown says that a fact which decides is not known.
var ErrUnknown = errors.New("not known")

// A Fault is what is wrong with an expression.
type Fault struct {
	Column  int // from 1, in characters, inside the expression; 0 when it is about all of it
	Message string
}

// Error returns the column and what is wrong there.
func (f Fault) Error() string {
	if f.Column == 0 {
		return f.Message
	}
	return fmt.Sprintf("column %d: %s", f.Column, f.Message)
}

// A Condition is an expression that was checked. The zero value is unknown.
type Condition struct {
	program cel.Program
}

// Compile checks an expression. The error is a Fault, the first one of the text.
func Compile(text string) (Condition, error) {
	if len(text) > MaxLength {
		return Condition{}, Fault{Message: fmt.Sprintf("it has %d bytes, the limit is %d", len(text), MaxLength)}
	}
	env, err := language()
	if err != nil {
		return Condition{}, Fault{Message: plain(err.Error())}
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return Condition{}, first(issues)
	}
	if !ast.OutputType().IsExactType(cel.BoolType) {
		return Condition{}, Fault{Message: fmt.Sprintf("it is of type %s, and has to be true or false", cel.FormatCELType(ast.OutputType()))}
	}
	cost, err := env.EstimateCost(ast, sizes{})
	if err != nil {
		return Condition{}, Fault{Message: plain(err.Error())}
	}
	if cost.Max > CostLimit {
		return Condition{}, Fault{Message: fmt.Sprintf("it may cost more than the limit of %d steps", CostLimit)}
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptPartialEval), cel.CostLimit(CostLimit))
	if err != nil {
		return Condition{}, Fault{Message: plain(err.Error())}
	}
	return Condition{program: program}, nil
}

// language is CEL without anything that reaches out of an expression.
func language() (*cel.Env, error) {
	object := func(name string, of reflect.Type) cel.EnvOption {
		return cel.Variable(name, cel.ObjectType(of.String()))
	}
	return cel.NewEnv(
		ext.NativeTypes(ext.ParseStructTags(true),
			reflect.TypeFor[Release](), reflect.TypeFor[PullRequest](), reflect.TypeFor[Checks](),
			reflect.TypeFor[Upstream](), reflect.TypeFor[Change]()),
		object(release, reflect.TypeFor[Release]()),
		object(pullRequest, reflect.TypeFor[PullRequest]()),
		object(checks, reflect.TypeFor[Checks]()),
		object(upstream, reflect.TypeFor[Upstream]()),
		object(change, reflect.TypeFor[Change]()),
		cel.Variable(now, cel.TimestampType),
		cel.ParserRecursionLimit(maxDepth),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(), cel.ValidateComprehensionNestingLimit(maxNesting)),
	)
}

// first is the first fault in reading order.
func first(issues *cel.Issues) Fault {
	all := issues.Errors()
	if len(all) == 0 {
		return Fault{Message: plain(issues.Err().Error())}
	}
	least := slices.MinFunc(all, func(a, b *cel.Error) int {
		if a.Location.Line() != b.Location.Line() {
			return a.Location.Line() - b.Location.Line()
		}
		return a.Location.Column() - b.Location.Column()
	})
	return Fault{Column: max(least.Location.Column()+1, 0), Message: plain(strings.ReplaceAll(least.Message, " (in container '')", ""))}
}

// Holds evaluates the condition. The error wraps ErrUnknown where a fact that
// decides is not known; any other says why there is no answer.
func (c Condition) Holds(f Facts) (bool, error) {
	if c.program == nil {
		return false, fmt.Errorf("%w: there is no condition", ErrUnknown)
	}
	f.Unknown = f.unknown()
	vars, err := f.activation()
	if err != nil {
		return false, fmt.Errorf("prepare facts: %w", err)
	}
	value, _, err := c.program.Eval(vars)
	if err != nil {
		return false, errors.New(plain(err.Error()))
	}
	switch v := value.(type) {
	case types.Bool:
		return bool(v), nil
	case *types.Unknown:
		return false, fmt.Errorf("%w: %s", ErrUnknown, f.why(v))
	}
	return false, fmt.Errorf("it gives %s, not true or false", value.Type().TypeName())
}

// pattern matches a fact and everything below it.
func pattern(name string) *cel.AttributePatternType {
	variable, fields, _ := strings.Cut(name, ".")
	p := cel.AttributePattern(variable)
	for field := range strings.SplitSeq(fields, ".") {
		if field != "" {
			p = p.QualString(field)
		}
	}
	return p
}

// why names the facts that an answer lacks.
func (f Facts) why(u *types.Unknown) string {
	var reasons []string
	for _, id := range u.IDs() {
		trails, _ := u.GetAttributeTrails(id)
		for _, trail := range trails {
			if reason := f.reason(trail); !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
		}
	}
	slices.Sort(reasons)
	return strings.Join(reasons, ", ")
}

func (f Facts) reason(trail *types.AttributeTrail) string {
	name := trail.Variable()
	if why := f.Unknown[name]; why != "" {
		return name + " (" + why + ")"
	}
	for _, q := range trail.QualifierPath() {
		name = fmt.Sprintf("%s.%v", name, q)
		if why := f.Unknown[name]; why != "" {
			return name + " (" + why + ")"
		}
	}
	return name
}

// plain is one line of a message that may quote anything.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxMessage {
		s = string(runes[:maxMessage-1]) + "…"
	}
	return s
}

const maxMessage = 300
