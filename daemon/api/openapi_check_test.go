package api

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// mismatches tells where v is not as schema says, of what JSON Schema has and
// this document uses.
func mismatches(doc, schema map[string]any, v any, where string) (all []string) {
	if ref, ok := schema["$ref"].(string); ok {
		name := ref[strings.LastIndexByte(ref, '/')+1:]
		return mismatches(doc, at(doc, "components", "schemas", name).(map[string]any), v, where)
	}
	if several, ok := schema["anyOf"].([]any); ok {
		for _, one := range several {
			if all = mismatches(doc, one.(map[string]any), v, where); len(all) == 0 {
				return nil
			}
		}
		return all
	}
	if !isOf(schema["type"], v) {
		return []string{fmt.Sprintf("%s is %v, want %v", where, v, schema["type"])}
	}
	switch v := v.(type) {
	case []any:
		for i, one := range v {
			all = append(all, mismatches(doc, schema["items"].(map[string]any), one, fmt.Sprintf("%s[%d]", where, i))...)
		}
	case map[string]any:
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				all = append(all, fmt.Sprintf("%s.%s is missing", where, name))
			}
		}
		for name, one := range v {
			property, ok := at(schema, "properties", name).(map[string]any)
			if !ok {
				property, ok = schema["additionalProperties"].(map[string]any)
			}
			if !ok && schema["additionalProperties"] == false {
				all = append(all, fmt.Sprintf("%s.%s is not known", where, name))
			} else if ok {
				all = append(all, mismatches(doc, property, one, where+"."+name)...)
			}
		}
	}
	return all
}

// isOf tells whether v is of a type, or of one of several.
func isOf(kind, v any) bool {
	if several, ok := kind.([]any); ok {
		return slices.ContainsFunc(several, func(one any) bool { return isOf(one, v) })
	}
	switch v := v.(type) {
	case nil:
		return kind == nil || kind == "null"
	case string:
		return kind == nil || kind == "string"
	case bool:
		return kind == nil || kind == "boolean"
	case float64:
		return kind == nil || kind == "number" || kind == "integer" && v == math.Trunc(v)
	case []any:
		return kind == nil || kind == "array"
	default:
		return kind == nil || kind == "object"
	}
}
