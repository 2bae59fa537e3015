package render

import "container/list"

// cache keeps answers as bytes, so that nobody can change a kept one, and
// drops those unused for longest.
type cache struct {
	limit   int64 // bytes
	size    int64
	entries map[string]*list.Element
	recent  *list.List // of *entry, latest use first
}

type entry struct {
	key  string
	data []byte
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, entries: map[string]*list.Element{}, recent: list.New()}
}

func (c *cache) get(key string) ([]byte, bool) {
	element, found := c.entries[key]
	if !found {
		return nil, false
	}
	c.recent.MoveToFront(element)
	return element.Value.(*entry).data, true
}

func (c *cache) put(key string, data []byte) {
	if _, known := c.entries[key]; known || int64(len(data)) > c.limit {
		return
	}
	c.entries[key] = c.recent.PushFront(&entry{key, data})
	c.size += int64(len(data))
	for c.size > c.limit {
		oldest := c.recent.Back()
		e := c.recent.Remove(oldest).(*entry)
		delete(c.entries, e.key)
		c.size -= int64(len(e.data))
	}
}
