package memory

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// review answers a question that is asked by creating an object: everybody may do
// everything here. It returns nil when obj is no such question.
func (s *speaker) review(obj client.Object) func() {
	switch o := obj.(type) {
	case *authorizationv1.SelfSubjectAccessReview:
		return func() { o.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: true} }
	case *authorizationv1.SubjectAccessReview:
		return func() { o.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: true} }
	case *authenticationv1.SelfSubjectReview:
		return func() { o.Status.UserInfo.Username, o.Status.UserInfo.Groups = s.user, s.groups }
	}
	return nil
}
