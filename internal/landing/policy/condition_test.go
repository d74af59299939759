package policy

import "testing"

func TestConditions(t *testing.T) {
	tests := []struct {
		name, condition, context string
		want                     truth
	}{
		// IAM User Guide, "Condition operators", its own tables.
		{"text equals", `{"StringEquals":{"aws:PrincipalTag/job-category":"iamuser-admin"}}`, `{"aws:PrincipalTag/job-category":"iamuser-admin"}`, yes},
		{"text differs", `{"StringEquals":{"aws:PrincipalTag/job-category":"iamuser-admin"}}`, `{"aws:PrincipalTag/job-category":"dev-ops"}`, no},
		{"key absent", `{"StringEquals":{"aws:PrincipalTag/job-category":"iamuser-admin"}}`, `{"aws:PrincipalTag/job-category":null}`, no},
		{"key not given", `{"StringEquals":{"aws:PrincipalTag/job-category":"iamuser-admin"}}`, `{}`, unknown},
		{"variable", `{"StringLike":{"s3:prefix":["home/","home/${aws:username}/"]}}`, `{"aws:username":"martha","s3:prefix":"home/martha/"}`, yes},
		{"variable of another", `{"StringLike":{"s3:prefix":["home/","home/${aws:username}/"]}}`, `{"aws:username":"nikki","s3:prefix":"home/martha/"}`, no},
		{"variable without value", `{"StringLike":{"s3:prefix":["home/","home/${aws:username}/"]}}`, `{"aws:username":null,"s3:prefix":"home//"}`, no},
		{"any tag key, another case", `{"ForAnyValue:StringEquals":{"aws:TagKeys":"environment"}}`, `{"aws:TagKeys":["Environment"]}`, no},
		{"any tag key of two", `{"ForAnyValue:StringEquals":{"aws:TagKeys":"environment"}}`, `{"aws:TagKeys":["costcenter","environment"]}`, yes},
		{"any tag key, absent", `{"ForAnyValue:StringEquals":{"aws:TagKeys":"environment"}}`, `{"aws:TagKeys":null}`, no},
		{"ignoring case", `{"StringEqualsIgnoreCase":{"aws:RequestTag/environment":["preprod","storage"]}}`, `{"aws:requesttag/environment":"PreProd"}`, yes},
		{"paths within", `{"ForAllValues:StringNotLike":{"aws:ResourceOrgPaths":["o-a/r-a/ou-media/","o-a/r-a/ou-sports/*"]}}`, `{"aws:ResourceOrgPaths":["o-a/r-a/ou-sports/cost/"]}`, no},
		{"paths outside", `{"ForAllValues:StringNotLike":{"aws:ResourceOrgPaths":["o-a/r-a/ou-media/","o-a/r-a/ou-sports/*"]}}`, `{"aws:ResourceOrgPaths":["o-a/r-a/ou-media/cost/"]}`, yes},
		{"not over TLS", `{"Bool":{"aws:SecureTransport":"false"}}`, `{"aws:SecureTransport":"false"}`, yes},
		{"over TLS", `{"Bool":{"aws:SecureTransport":false}}`, `{"aws:SecureTransport":"true"}`, no},
		{"bytes", `{"BinaryEquals":{"aws:key":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}`, `{"aws:key":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="}`, yes},
		{"other bytes", `{"BinaryEquals":{"aws:key":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}`, `{"aws:key":"ASIAIOSFODNN7EXAMPLE"}`, no},
		{"in range", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, `{"aws:SourceIp":"203.0.113.1"}`, yes},
		{"out of range", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, `{"aws:SourceIp":"198.51.100.1"}`, no},
		{"ARN equals", `{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-west-2:123456789012:TOPIC-ID"}}`, `{"aws:SourceArn":"arn:aws:sns:us-west-2:123456789012:TOPIC-ID"}`, yes},
		{"ARN of another account", `{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-west-2:123456789012:TOPIC-ID"}}`, `{"aws:SourceArn":"arn:aws:sns:us-west-2:777788889999:TOPIC-ID"}`, no},
		{"all ARNs", `{"ForAllValues:ArnLike":{"logs:LogGeneratingResourceArns":["arn:aws::cloudfront:123456789012:distribution/*"]}}`, `{"logs:LogGeneratingResourceArns":["arn:aws::cloudfront:123456789012:distribution/a","arn:aws::cloudfront:777788889999:distribution/a"]}`, no},
		{"all ARNs, absent", `{"ForAllValues:ArnLike":{"logs:LogGeneratingResourceArns":["arn:aws::cloudfront:123456789012:distribution/*"]}}`, `{"logs:LogGeneratingResourceArns":null}`, yes},
		{"if exists, other", `{"StringLikeIfExists":{"ec2:InstanceType":["t1.*","t2.*"]}}`, `{"ec2:InstanceType":"m2.micro"}`, no},
		{"if exists, absent", `{"StringLikeIfExists":{"ec2:InstanceType":["t1.*","t2.*"]}}`, `{"ec2:InstanceType":null}`, yes},
		{"parts of an ARN", `{"ArnLike":{"aws:SourceArn":"arn:aws:someservice:*:111122223333:finance/*"}}`, `{"aws:SourceArn":"arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"}`, no},
		{"text like it", `{"StringLike":{"aws:SourceArn":"arn:aws:someservice:*:111122223333:finance/*"}}`, `{"aws:SourceArn":"arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"}`, yes},
		{"absent, negated", `{"StringNotLike":{"aws:x":"a"}}`, `{"aws:x":null}`, yes},
		{"null and absent", `{"Null":{"aws:TokenIssueTime":"true"}}`, `{"aws:TokenIssueTime":null}`, yes},
		{"null and there", `{"Null":{"aws:TokenIssueTime":"true"}}`, `{"aws:TokenIssueTime":"x"}`, no},
		{"null and not given", `{"Null":{"aws:TokenIssueTime":"true"}}`, `{}`, unknown},
		{"neither of several", `{"StringNotEquals":{"aws:x":["a","b"]}}`, `{"aws:x":"b"}`, no},
		// "Policy variables with no value".
		{"inverted against no value", `{"StringNotEquals":{"s3:ExistingObjectTag/Team":"${aws:PrincipalTag/Team}"}}`, `{"s3:ExistingObjectTag/Team":"a","aws:PrincipalTag/Team":null}`, yes},
		{"default", `{"StringEquals":{"aws:x":"${aws:PrincipalTag/team, 'company-wide'}"}}`, `{"aws:x":"company-wide","aws:PrincipalTag/team":null}`, yes},
		{"default not needed", `{"StringEquals":{"aws:x":"${aws:PrincipalTag/team, 'company-wide'}"}}`, `{"aws:x":"company-wide","aws:PrincipalTag/team":"red"}`, no},
		{"star itself", `{"StringLike":{"aws:x":"a${*}"}}`, `{"aws:x":"ab"}`, no},
		{"star itself, there", `{"StringEquals":{"aws:x":"a${*}${?}${$}"}}`, `{"aws:x":"a*?$"}`, yes},
		{"wildcards of a value mean nothing", `{"StringLike":{"aws:x":"${aws:y}"}}`, `{"aws:x":"abc","aws:y":"a*"}`, no},
		// Three values.
		{"unknown variable that cannot match", `{"StringLike":{"aws:x":"home/${aws:username}/*"}}`, `{"aws:x":"away/x"}`, no},
		{"unknown variable that may match", `{"StringLike":{"aws:x":"home/${aws:username}/*"}}`, `{"aws:x":"home/x/y"}`, unknown},
		{"one certain no is enough", `{"StringEquals":{"aws:x":"a"},"Bool":{"aws:y":"true"}}`, `{"aws:y":"false"}`, no},
		{"several values without a set operator", `{"StringEquals":{"aws:TagKeys":"a"}}`, `{"aws:TagKeys":["a","b"]}`, unknown},
		{"any and if exists, absent", `{"ForAnyValue:StringEqualsIfExists":{"aws:TagKeys":"a"}}`, `{"aws:TagKeys":null}`, unknown},
		{"ARN without its parts", `{"ArnLike":{"aws:x":"arn:aws:sns:*"}}`, `{"aws:x":"arn:aws:sns:a:b:c"}`, unknown},
		{"not a number", `{"NumericNotEquals":{"aws:x":"1"}}`, `{"aws:x":"one"}`, unknown},
		// Numbers, dates, addresses.
		{"numbers, not texts", `{"NumericEquals":{"aws:x":"1.50"}}`, `{"aws:x":"1.5"}`, yes},
		{"less", `{"NumericLessThan":{"aws:x":10}}`, `{"aws:x":"9"}`, yes},
		{"less or equal", `{"NumericLessThanEquals":{"aws:x":10}}`, `{"aws:x":"10"}`, yes},
		{"greater", `{"NumericGreaterThan":{"aws:x":10}}`, `{"aws:x":"10"}`, no},
		{"greater or equal", `{"NumericGreaterThanEquals":{"aws:x":10}}`, `{"aws:x":"10"}`, yes},
		{"epoch and date", `{"DateEquals":{"aws:x":"2020-01-01T00:00:00Z"}}`, `{"aws:x":"1577836800"}`, yes},
		{"year", `{"DateGreaterThanEquals":{"aws:x":"2020"}}`, `{"aws:x":"2020-01-01T00:00:00Z"}`, yes},
		{"month", `{"DateLessThan":{"aws:x":"2020-02"}}`, `{"aws:x":"2020-01-31"}`, yes},
		{"zones", `{"DateNotEquals":{"aws:x":"2020-01-01T01:00+01:00"}}`, `{"aws:x":"2020-01-01T00:00:00Z"}`, no},
		{"parts of seconds", `{"DateGreaterThan":{"aws:x":"2020-01-01T00:00:00.4Z"}}`, `{"aws:x":"2020-01-01T00:00:00.5Z"}`, yes},
		{"all addresses", `{"IpAddress":{"aws:x":"0.0.0.0/0"}}`, `{"aws:x":"200.1.1.1"}`, yes},
		{"one address", `{"NotIpAddress":{"aws:x":"10.0.0.1"}}`, `{"aws:x":"10.0.0.2"}`, yes},
		{"IPv6", `{"IpAddress":{"aws:x":"2001:DB8:1234:5678::/64"}}`, `{"aws:x":"2001:db8:1234:5678::1"}`, yes},
		{"another family", `{"IpAddress":{"aws:x":"::/0"}}`, `{"aws:x":"10.0.0.1"}`, no},
		// Set operators.
		{"all, one differs", `{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`, `{"aws:TagKeys":["a","c"]}`, no},
		{"all, none", `{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`, `{"aws:TagKeys":null}`, yes},
		{"all, empty text", `{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`, `{"aws:TagKeys":""}`, yes},
		{"any negated", `{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a"]}}`, `{"aws:TagKeys":["a","b"]}`, yes},
		{"any negated, all match", `{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a","b"]}}`, `{"aws:TagKeys":["a","b"]}`, no},
		{"any negated, none", `{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a","b"]}}`, `{"aws:TagKeys":null}`, no},
		{"all negated", `{"ForAllValues:StringNotEquals":{"aws:TagKeys":["a"]}}`, `{"aws:TagKeys":["b","c"]}`, yes},
		// Keys that follow from the request and the organization.
		{"account", `{"StringEquals":{"aws:PrincipalAccount":"222222222222"}}`, `{}`, yes},
		{"organization", `{"StringNotEqualsIfExists":{"aws:ResourceOrgID":"o-a1b2c3d4e5"}}`, `{}`, no},
		{"path", `{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"}}`, `{}`, yes},
		{"region not given", `{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}`, `{}`, unknown},
		{"not true or false", `{"Bool":{"aws:x":"true"}}`, `{"aws:x":"yes"}`, unknown},
		{"is there, empty", `{"Null":{"aws:x":"false"}}`, `{"aws:x":""}`, unknown},
		{"no service", `{"Bool":{"aws:PrincipalIsAWSService":"false"}}`, `{}`, yes},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := applies(t, test.condition, contextOf(t, test.context)); got != test.want {
				t.Errorf("%s with %s is %d, want %d", test.condition, test.context, got, test.want)
			}
		})
	}
}

// A complete context leaves unknown only what every request carries and nobody told.
func TestCompleteContext(t *testing.T) {
	if got := applies(t, `{"StringEquals":{"aws:x":"a"}}`, Context{}.Complete()); got != no {
		t.Errorf("a key that a complete context does not have is %d, want no", got)
	}
	for _, condition := range []string{
		`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/dev-*"}}`, `{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}`,
	} {
		if got := applies(t, condition, Context{}.Complete()); got != unknown {
			t.Errorf("%s of a request that does not tell it is %d, want unknown", condition, got)
		}
	}
}
