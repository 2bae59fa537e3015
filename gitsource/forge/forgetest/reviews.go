package forgetest

import "slices"

// Approve submits an approving review of the current head and returns its id.
func (r *Repository) Approve(as string, number int) (int64, error) {
	return r.submit(as, number, "APPROVE")
}

// RequestChanges submits a review that asks for changes.
func (r *Repository) RequestChanges(as string, number int) (int64, error) {
	return r.submit(as, number, "REQUEST_CHANGES")
}

// Comment submits a review without a verdict.
func (r *Repository) Comment(as string, number int) (int64, error) {
	return r.submit(as, number, "COMMENT")
}

func (r *Repository) submit(as string, number int, event string) (int64, error) {
	user, err := r.server.user(as)
	if err != nil {
		return 0, err
	}
	p, err := r.pull(int64(number))
	if err != nil {
		return 0, err
	}
	made, err := p.review(user, opinion{Event: event, Body: "reviewed by " + as})
	if err != nil {
		return 0, err
	}
	return made.id, nil
}

// An opinion is the body of a request for a review.
type opinion struct {
	Event    string `json:"event"`
	Body     string `json:"body"`
	CommitID string `json:"commit_id"`
}

func (p *pull) review(user *User, o opinion) (*review, error) {
	state := map[string]string{"": "PENDING", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}[o.Event]
	server := p.repo.server
	server.mu.Lock()
	defer server.mu.Unlock()
	switch {
	case state == "":
		return nil, unprocessable("event: invalid")
	case user == p.author && (o.Event == "APPROVE" || o.Event == "REQUEST_CHANGES"):
		return nil, &refusal{422, "Unprocessable Entity", []string{"Review Can not " + map[string]string{"APPROVE": "approve", "REQUEST_CHANGES": "request changes on"}[o.Event] + " your own pull request"}}
	case o.Body == "" && (o.Event == "REQUEST_CHANGES" || o.Event == "COMMENT"):
		return nil, unprocessable("body: missing")
	}
	if o.CommitID == "" {
		o.CommitID = p.headSHA
	}
	made := &review{id: server.nextIDLocked(), user: user, state: state, body: o.Body, commit: o.CommitID, at: server.now()}
	p.reviews = append(p.reviews, made)
	p.touchLocked()
	return made, nil
}

// Dismiss dismisses a review; only somebody who may write can.
func (r *Repository) Dismiss(as string, number int, reviewID int64) error {
	user, err := r.server.user(as)
	if err != nil {
		return err
	}
	p, err := r.pull(int64(number))
	if err != nil {
		return err
	}
	_, err = p.dismiss(user, reviewID)
	return err
}

func (p *pull) dismiss(user *User, reviewID int64) (*review, error) {
	if !p.repo.mayWrite(user) {
		return nil, &refusal{code: 403, message: "Must have write access to dismiss a review"}
	}
	p.repo.server.mu.Lock()
	defer p.repo.server.mu.Unlock()
	at := slices.IndexFunc(p.reviews, func(made *review) bool { return made.id == reviewID })
	if at < 0 {
		return nil, missing()
	}
	made := p.reviews[at]
	if made.state != "APPROVED" && made.state != "CHANGES_REQUESTED" {
		return nil, unprocessable("Can not dismiss a commented pull request review")
	}
	made.state = "DISMISSED"
	p.touchLocked()
	return made, nil
}
