package bench

import (
	"fmt"
	"strings"

	"crossfade.dev/internal/landing/policy"
	"crossfade.dev/internal/landing/source"
)

// unitsOf are the units of the organization that is measured with: workloads by
// team and environment, and the usual rest.
func unitsOf(teams int) []string {
	units := []string{"Security", "Infrastructure", "Sandbox", "Workloads"}
	for team := range teams {
		units = append(units, fmt.Sprintf("Workloads/Team%02d", team), fmt.Sprintf("Workloads/Team%02d/Prod", team),
			fmt.Sprintf("Workloads/Team%02d/Dev", team))
	}
	return units
}

// guardrails are those of a streaming company, by name: type, targets and
// statements.
var guardrails = map[string][3]string{
	"keep-trails": {"ServiceControl", "{root: true}", `
    {"Sid": "KeepTrails", "Effect": "Deny", "Action": ["cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "cloudtrail:UpdateTrail", "config:DeleteConfig*", "config:StopConfigurationRecorder", "guardduty:DeleteDetector", "guardduty:Disassociate*"], "Resource": "*",
     "Condition": {"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/platform/*", "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Audit_*"]}}}`},
	"no-root": {"ServiceControl", "{root: true}", `
    {"Sid": "NoRoot", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:root"}}},
    {"Sid": "StayInside", "Effect": "Deny", "Action": ["organizations:LeaveOrganization", "account:CloseAccount"], "Resource": "*"}`},
	"regions": {"ServiceControl", "{unit: Workloads}", `
    {"Sid": "OnlyOurRegions", "Effect": "Deny", "NotAction": ["iam:*", "sts:*", "route53:*", "cloudfront:*", "support:*", "organizations:*", "globalaccelerator:*", "waf:*", "shield:*"], "Resource": "*",
     "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1", "eu-central-1", "us-east-1"]}, "ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/platform/*"}}}`},
	"roles": {"ServiceControl", "{unit: Workloads}", `
    {"Sid": "KeepRoles", "Effect": "Deny", "Action": ["iam:AttachRolePolicy", "iam:DeleteRole*", "iam:DetachRolePolicy", "iam:PutRole*", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole*"], "Resource": "arn:aws:iam::*:role/platform/*",
     "Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/platform/*"}}}`},
	"instances": {"ServiceControl", "{unit: Workloads}", `
    {"Sid": "MetadataV2", "Effect": "Deny", "Action": "ec2:RunInstances", "Resource": "arn:aws:ec2:*:*:instance/*", "Condition": {"StringNotEquals": {"ec2:MetadataHttpTokens": "required"}}},
    {"Sid": "Encrypted", "Effect": "Deny", "Action": ["ec2:CreateVolume", "rds:CreateDBInstance", "elasticfilesystem:CreateFileSystem"], "Resource": "*", "Condition": {"BoolIfExists": {"ec2:Encrypted": "false"}}}`},
	"network": {"ServiceControl", "{unit: Workloads}", `
    {"Sid": "CentralNetwork", "Effect": "Deny", "Action": ["ec2:CreateInternetGateway", "ec2:AttachInternetGateway", "ec2:CreateVpcPeeringConnection", "ec2:AcceptVpcPeeringConnection", "ec2:CreateDefaultVpc", "ec2:CreateEgressOnlyInternetGateway", "networkmanager:*"], "Resource": "*",
     "Condition": {"StringNotLike": {"aws:PrincipalTag/team": ["network", "platform-*"]}}}`},
	"tags": {"ServiceControl", "{unit: Workloads}", `
    {"Sid": "CostCenter", "Effect": "Deny", "Action": ["ec2:RunInstances", "rds:CreateDBInstance", "dynamodb:CreateTable"], "Resource": "*", "Condition": {"Null": {"aws:RequestTag/cost-center": "true"}}},
    {"Sid": "TagKeys", "Effect": "Deny", "Action": "*:TagResource", "Resource": "*"}`},
	"perimeter": {"ResourceControl", "{root: true}", `
    {"Sid": "OnlyUs", "Effect": "Deny", "Principal": "*", "Action": ["s3:*", "sqs:*", "kms:*", "secretsmanager:*"], "Resource": "*",
     "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}, "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}},
    {"Sid": "OnlyTLS", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"BoolIfExists": {"aws:SecureTransport": "false"}}}`},
}

// Zone returns the files of an organization with so many accounts. changed leaves
// one more region, takes away a guardrail of half of the teams, and adds one.
func Zone(accounts, teams int, changed bool) []source.File {
	var out strings.Builder
	units := unitsOf(teams)
	out.WriteString("apiVersion: landing.crossfade.dev/v1alpha1\nkind: Organization\nmetadata: {name: stream}\nspec:\n  id: o-a1b2c3d4e5\n  rootID: r-ab12\n  managementAccount: \"100000000000\"\n  units:\n")
	for i, unit := range units {
		fmt.Fprintf(&out, "  - {path: %s, id: ou-ab12-%08d}\n", unit, i)
	}
	for i := range accounts {
		fmt.Fprintf(&out, "---\napiVersion: landing.crossfade.dev/v1alpha1\nkind: Account\nmetadata: {name: account-%04d}\nspec: {id: \"2%011d\", unit: %s}\n", i, i, units[i%len(units)])
	}
	for name, g := range guardrails {
		statements := strings.Replace(g[2], `"*:TagResource"`, `["ec2:CreateTags", "s3:PutBucketTagging"]`, 1)
		if changed && name == "regions" {
			statements = strings.Replace(statements, `"us-east-1"]`, `"us-east-1", "eu-north-1"]`, 1)
		}
		write(&out, name, g[0], g[1], statements)
	}
	for team := range teams {
		if changed && team%2 == 0 {
			continue
		}
		write(&out, fmt.Sprintf("team-%02d", team), "ServiceControl", fmt.Sprintf("{unit: Workloads/Team%02d/Prod}", team), fmt.Sprintf(`
    {"Sid": "KeepData", "Effect": "Deny", "Action": ["dynamodb:Delete*", "rds:Delete*", "s3:DeleteBucket*"], "Resource": "*", "Condition": {"StringNotEquals": {"aws:PrincipalTag/team": "team%02d"}}},
    {"Sid": "OwnTopics", "Effect": "Deny", "Action": "sns:*", "NotResource": "arn:aws:sns:*:*:team%02d-*"}`, team, team))
	}
	if changed {
		write(&out, "no-keys", "ServiceControl", "{unit: Workloads}", `
    {"Sid": "NoLongLivedKeys", "Effect": "Deny", "Action": ["iam:CreateAccessKey", "iam:CreateUser"], "Resource": "*"}`)
	}
	return []source.File{{Name: "zone.yaml", Data: []byte(out.String())}}
}

// OwnZone is Zone with a guardrail of its own on every account, about other actions
// than those of the others, and a change that touches every action: about the worst
// that can be asked of a comparison.
func OwnZone(accounts, teams int, changed bool) []source.File {
	files := Zone(accounts, teams, false)
	var out strings.Builder
	out.Write(files[0].Data)
	services := []string{"ec2", "s3", "iam", "sqs", "sns", "rds", "lambda", "glue", "eks", "ecs", "logs", "ssm", "kms", "dynamodb", "sagemaker"}
	for i := range accounts {
		service, letter := services[i%len(services)], 'A'+rune(i/len(services)%26)
		write(&out, fmt.Sprintf("own-%04d", i), "ServiceControl", fmt.Sprintf("{account: account-%04d}", i), fmt.Sprintf(`
    {"Effect": "Deny", "Action": ["%s:*%c*", "%s:Create*%c*"], "Resource": "*", "Condition": {"StringNotEquals": {"aws:PrincipalTag/owner": "owner%d"}}},
    {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:%s:*:*:own-%d/*"}`, service, letter, services[(i+1)%len(services)], letter, i, service, i%7))
	}
	region := "eu-west-3"
	if changed {
		region = "eu-north-1"
	}
	write(&out, "everywhere", "ServiceControl", "{root: true}", fmt.Sprintf(`
    {"Sid": "Everywhere", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:RequestedRegion": "%s"}}}`, region))
	return []source.File{{Name: "zone.yaml", Data: []byte(out.String())}}
}

func write(out *strings.Builder, name, kind, target, statements string) {
	fmt.Fprintf(out, "---\napiVersion: landing.crossfade.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: %s}\nspec:\n  type: %s\n  targets: [%s]\n  policy: {\"Version\": \"2012-10-17\", \"Statement\": [%s]}\n",
		name, kind, target, statements)
}

// Load returns the state of such an organization.
func Load(files []source.File) (*policy.State, error) {
	documents, found := source.Read(files)
	state, wrong := policy.Load(documents, files, found)
	if errors := append(found, wrong...).Errors(); len(errors) > 0 {
		return nil, fmt.Errorf("the organization to measure with: %v", errors[0])
	}
	return state, nil
}
