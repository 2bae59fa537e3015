package schemas

import (
	"bytes"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// AddHold returns the control.yaml data with the hold at the end of its list; nil
// data stands for no file yet. Comments and everything else that people wrote are
// kept. A hold with the same rollback id that is already there changes nothing, so
// that a repeated rollback commit is empty. The error is of type Problems when data
// is not a valid control file.
func AddHold(file string, data []byte, hold Hold) ([]byte, error) {
	if len(data) == 0 {
		return newControl(file, hold)
	}
	control, err := DecodeControl(file, data)
	if err != nil {
		return nil, err
	}
	same := func(h Hold) bool { return h.Rollback != "" && h.Rollback == hold.Rollback }
	if slices.ContainsFunc(control.Holds, same) {
		return data, nil
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	item, err := holdNode(hold)
	if err != nil {
		return nil, err
	}
	appendHold(document.Content[0], item)
	return encodeControl(file, &document)
}

func newControl(file string, hold Hold) ([]byte, error) {
	item, err := holdNode(hold)
	if err != nil {
		return nil, err
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range []string{"apiVersion", APIVersion, "kind", KindControl} {
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: s})
	}
	appendHold(root, item)
	return encodeControl(file, root)
}

func appendHold(root, item *yaml.Node) {
	holds := field(root, "holds")
	if holds == nil {
		holds = &yaml.Node{Kind: yaml.SequenceNode}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "holds"}, holds)
	}
	holds.Style &^= yaml.FlowStyle
	holds.Content = append(holds.Content, item)
}

func holdNode(h Hold) (*yaml.Node, error) {
	item := &yaml.Node{Kind: yaml.MappingNode}
	pairs := []string{"digest", h.Digest, "revision", h.Revision, "reason", h.Reason, "by", h.By, "at", "", "rollback", h.Rollback}
	if !h.At.IsZero() {
		at, err := h.At.MarshalText()
		if err != nil {
			return nil, fmt.Errorf("encode time of hold: %w", err)
		}
		pairs[9] = string(at)
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		value := &yaml.Node{}
		value.SetString(pairs[i+1])
		item.Content = append(item.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: pairs[i]}, value)
	}
	return item, nil
}

// encodeControl also decodes what it wrote: a hold with an odd reason must be refused
// here and not by the next reader.
func encodeControl(file string, n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(n); err != nil {
		return nil, fmt.Errorf("encode %s: %w", file, err)
	}
	if _, err := DecodeControl(file, b.Bytes()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
