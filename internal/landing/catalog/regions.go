package catalog

import "slices"

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
// "Quotas and service limits", names organizations.
var homes = map[string]string{
	"cloudfront": "us-east-1", "iam": "us-east-1", "organizations": "us-east-1", "route53": "us-east-1", "support": "us-east-1",
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
