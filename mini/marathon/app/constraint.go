package app

import (
	"regexp"
	"strconv"
)

// Constraint is [field, operator] or [field, operator, value] (contracts
// 2.6). Field is hostname or the name of an agent's text attribute.
type Constraint []string

// Field is what is looked at.
func (c Constraint) Field() string { return c[0] }

// Operator is UNIQUE, CLUSTER, GROUP_BY, LIKE or UNLIKE.
func (c Constraint) Operator() string { return c[1] }

// Value is the third word, or "".
func (c Constraint) Value() string {
	if len(c) < 3 {
		return ""
	}
	return c[2]
}

// problem says what is wrong with the constraint, or "".
func (c Constraint) problem() string {
	if len(c) < 2 || len(c) > 3 {
		return "Constraints definition must be an array of strings in format: <key>, <operator>[, <value>]"
	}
	if c.Field() == "" {
		return "Missing field and operator"
	}
	switch c.Operator() {
	case "UNIQUE":
		if c.Value() != "" {
			return "Value specified but not used"
		}
	case "CLUSTER":
	case "GROUP_BY":
		if _, err := strconv.Atoi(c.Value()); c.Value() != "" && err != nil {
			return "Value was specified but is not a number"
		}
	case "LIKE", "UNLIKE":
		if len(c) < 3 {
			return "A regular expression value must be provided"
		}
		if _, err := c.Regexp(); err != nil {
			return "'" + c.Value() + "' is not a valid regular expression"
		}
	default:
		return "Operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE"
	}
	return ""
}

// Regexp is the value as a pattern for whole values, as Java's
// String.matches sees it. The syntax is Go's: look-around and
// back-references are errors.
func (c Constraint) Regexp() (*regexp.Regexp, error) {
	return regexp.Compile("^(?:" + c.Value() + ")$")
}
