package catalog

import (
	"slices"
	"strings"
)

// Regions are the regions of the partition aws, as the vendor lists them
// (docs.aws.amazon.com, "AWS Regions and Availability Zones", read in 2026).
var Regions = []string{
	"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
	"ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
	"ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1",
	"eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1",
	"mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
}

// homes are the services with one endpoint for all regions, by where it stands: a
// request to them carries that region as aws:RequestedRegion, whichever region it
// was meant for. IAM User Guide, "AWS: Denies access to AWS based on the requested
// Region", names cloudfront, iam, route53 and support; Organizations User Guide,
// "Quotas and service limits", names organizations; the whitepaper AWS Fault
// Isolation Boundaries, "Global services", the others.
var homes = map[string]string{
	"account": "us-east-1", "cloudfront": "us-east-1", "iam": "us-east-1", "organizations": "us-east-1",
	"route53": "us-east-1", "shield": "us-east-1", "support": "us-east-1", "waf": "us-east-1",
	"globalaccelerator": "us-west-2", "networkmanager": "us-west-2",
	"route53-recovery-control-config": "us-west-2", "route53-recovery-readiness": "us-west-2",
}

// Home returns the only region that requests to a service carry, if there is one.
func Home(prefix string) (region string, ok bool) {
	region, ok = homes[prefix]
	return region, ok
}

// HomeRegions returns where services with one endpoint stand, each region once.
func HomeRegions() []string {
	var regions []string
	for _, region := range homes {
		regions = append(regions, region)
	}
	slices.Sort(regions)
	return slices.Compact(regions)
}

// withoutOwner are the actions whose requests do not carry aws:ResourceAccount,
// aws:ResourceOrgID and aws:ResourceOrgPaths (IAM User Guide, "AWS global condition
// context keys", aws:ResourceAccount), in lower case, and those of all of Amazon EBS.
var withoutOwner = map[string]bool{
	"auditmanager:updateassessmentframeworkshare": true, "detective:acceptinvitation": true,
	"ec2:accepttransitgatewaypeeringattachment": true, "ec2:acceptvpcendpointconnections": true, "ec2:acceptvpcpeeringconnection": true,
	"ec2:copyimage": true, "ec2:copysnapshot": true, "ec2:createtransitgatewaypeeringattachment": true, "ec2:createvolume": true,
	"ec2:createvpcendpoint": true, "ec2:createvpcpeeringconnection": true, "ec2:deletetransitgatewaypeeringattachment": true,
	"ec2:deletevpcpeeringconnection": true, "ec2:rejecttransitgatewaypeeringattachment": true, "ec2:rejectvpcendpointconnections": true,
	"ec2:rejectvpcpeeringconnection": true, "guardduty:acceptadministratorinvitation": true, "macie2:acceptinvitation": true,
	"es:acceptinboundconnection": true, "route53:associatevpcwithhostedzone": true, "route53:createvpcassociationauthorization": true,
	"route53:deletevpcassociationauthorization": true, "route53:disassociatevpcfromhostedzone": true,
	"route53:listhostedzonesbyvpc": true, "securityhub:acceptadministratorinvitation": true,
}

// TellsOwner reports whether requests for an action, in lower case, say who owns the
// resource.
func (c *Catalog) TellsOwner(action string) bool {
	return !withoutOwner[action] && !strings.HasPrefix(action, "ebs:")
}
