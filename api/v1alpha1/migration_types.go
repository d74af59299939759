package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// A Migration moves an estate from one cluster to another.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mig,categories=crossfade
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.spec.source`
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.target`
// +kubebuilder:printcolumn:name="Direction",type=string,JSONPath=`.spec.direction`
// +kubebuilder:printcolumn:name="Stage",type=string,JSONPath=`.status.stage`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.reason`
// +kubebuilder:printcolumn:name="Capacity",type=integer,JSONPath=`.status.capacity`
// +kubebuilder:printcolumn:name="Entry",type=integer,JSONPath=`.status.entry`
// +kubebuilder:printcolumn:name="Writer",type=string,JSONPath=`.status.writer`
// +kubebuilder:printcolumn:name="Apps",type=integer,JSONPath=`.status.apps.total`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Migration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   MigrationSpec   `json:"spec"`
	Status MigrationStatus `json:"status,omitempty"`
}

// MigrationSpec is what people want of a migration.
//
// +kubebuilder:validation:XValidation:rule="self.source != self.target",message="target: a cluster cannot be its own target"
// +kubebuilder:validation:XValidation:rule="self.source == oldSelf.source && self.target == oldSelf.target",message="source and target of a migration cannot be changed once it exists"
// +kubebuilder:validation:XValidation:rule="has(self.dns) == has(oldSelf.dns)",message="dns: a migration cannot come to have names, or none, once it exists: the way back needs them as they were"
// +kubebuilder:validation:XValidation:rule="has(self.namespaces) ? has(oldSelf.namespaces) && self.namespaces == oldSelf.namespaces : !has(oldSelf.namespaces)",message="namespaces of a migration cannot be changed once it exists: the way back needs them as they were"
type MigrationSpec struct {
	// Source names the Cluster to move from.
	// +kubebuilder:validation:MinLength=1
	Source string `json:"source"`
	// Target names the Cluster to move to.
	// +kubebuilder:validation:MinLength=1
	Target string `json:"target"`

	// Namespaces limits the estate; empty means every namespace except kube-* and
	// Crossfade's own.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=10000
	// +kubebuilder:validation:items:MaxLength=63
	Namespaces []string `json:"namespaces,omitempty"`

	// Direction is where the estate is led: Forward to the target, or Back.
	// +optional
	// +kubebuilder:default=Forward
	Direction Direction `json:"direction,omitempty"`

	// BackTo is the last stage that stays in force when the direction is Back;
	// Nothing means that every stage is undone.
	// +optional
	// +kubebuilder:default=Prepare
	// +kubebuilder:validation:Enum=Nothing;Preflight;Prepare;Snapshot;Shift;Cutover
	BackTo Stage `json:"backTo,omitempty"`

	// Hold, while it is set, lets no new step begin. Following (mirror, bridge)
	// goes on.
	// +optional
	Hold *Hold `json:"hold,omitempty"`

	// Approval lists the stages that wait for a person before their first step.
	// +optional
	// +listType=set
	Approval []Stage `json:"approval,omitempty"`

	// Approved lists the approvals that people gave. One that was given before the
	// migration was last led back is void.
	// +optional
	// +listType=map
	// +listMapKey=stage
	Approved []Approval `json:"approved,omitempty"`

	// DNS is where the estate's names live. Without it entry and endpoint do not
	// change sides.
	// +optional
	DNS *DNS `json:"dns,omitempty"`

	// +optional
	// +kubebuilder:default={}
	Shift Shift `json:"shift,omitempty"`

	// +optional
	// +kubebuilder:default={}
	Freeze FreezePolicy `json:"freeze,omitempty"`

	// +optional
	// +kubebuilder:default={}
	Objectives Objectives `json:"objectives,omitempty"`

	// Archive is where the source is archived, and rehearsed from, at Snapshot.
	// +optional
	Archive *Archive `json:"archive,omitempty"`

	// Journal is the URL of the bucket (gocloud.dev/blob) in which the ledger is
	// kept a second time, so that the way back does not need the hub.
	// +optional
	Journal string `json:"journal,omitempty"`

	// Decisions settle what the inventory cannot tell, or overrule it.
	// +optional
	// +listType=map
	// +listMapKey=workload
	Decisions []Decision `json:"decisions,omitempty"`

	// Rules say how objects are mirrored that the built-in rules Hold, or copy
	// otherwise than wanted; the first that matches counts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	Rules []MirrorRule `json:"rules,omitempty"`

	// Waivers let a gate pass by name; one for fuse lets the mirror delete more at
	// once than it believes.
	// +optional
	// +listType=map
	// +listMapKey=gate
	Waivers []Waiver `json:"waivers,omitempty"`

	// MaxQuarantined is how many apps may be left behind before the migration is
	// Held.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxQuarantined int32 `json:"maxQuarantined,omitempty"`

	// Retire, once set, lets go of the source when the migration has arrived: there is
	// no way back from it. Until then a rollback takes it back.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf || has(self.at) && (!has(oldSelf.at) || self.at > oldSelf.at)",message="retire cannot be changed, only given anew with a later date"
	Retire *Retire `json:"retire,omitempty"`
}

// Hold says why no new step may begin.
type Hold struct {
	// +kubebuilder:validation:MinLength=1
	By string `json:"by"`
	// +optional
	Reason string `json:"reason,omitempty"`
}

// An Approval lets one stage begin.
type Approval struct {
	Stage Stage `json:"stage"`
	// +kubebuilder:validation:MinLength=1
	By string `json:"by"`
	// +optional
	At metav1.Time `json:"at,omitempty"`
}

// Retire names the person who lets go of the source.
type Retire struct {
	// +kubebuilder:validation:MinLength=1
	By string `json:"by"`
	// +optional
	At metav1.Time `json:"at,omitempty"`
}

// DNS says where the estate's names live and how they are led over.
//
// +kubebuilder:validation:XValidation:rule="self.zone.endsWith('.' + self.parent)",message="dns.zone: the zone must lie below dns.parent"
// +kubebuilder:validation:XValidation:rule="self.zone == oldSelf.zone && self.parent == oldSelf.parent && self.ttlSeconds == oldSelf.ttlSeconds && self.old.names == oldSelf.old.names && self.new.names == oldSelf.new.names && (has(self.endpoint) ? has(oldSelf.endpoint) && self.endpoint == oldSelf.endpoint : !has(oldSelf.endpoint))",message="dns: zone, parent, ttlSeconds, endpoint and the names of the servers cannot be changed once the migration exists, because the way back needs them as they were; steps, servers and keys can"
type DNS struct {
	// Zone is the zone of the estate's names, in lower case, without the final dot.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.lowerAscii() == self && !self.endsWith('.')",message="write it in lower case and without the final dot"
	Zone string `json:"zone"`
	// Parent is the zone that delegates Zone, written likewise.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.lowerAscii() == self && !self.endsWith('.')",message="write it in lower case and without the final dot"
	Parent string `json:"parent"`

	// Old serves Zone today, New will serve it, ParentService serves Parent.
	Old           DNSService `json:"old"`
	New           DNSService `json:"new"`
	ParentService DNSService `json:"parentService"`

	// TTLSeconds is the TTL to which every record on the path is lowered.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	TTLSeconds int32 `json:"ttlSeconds,omitempty"`

	// Steps are the percentages of entry led to the target, one after the other;
	// they rise and end at 100.
	// +optional
	// +kubebuilder:default={5,25,50,100}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=100
	// +kubebuilder:validation:XValidation:rule="self[size(self)-1] == 100",message="dns.steps: the last step must be 100"
	// +kubebuilder:validation:XValidation:rule="self.all(i, self.filter(j, j == i).size() == 1) && self == self.sort()",message="dns.steps: the steps must rise"
	Steps []int32 `json:"steps,omitempty"`

	// Endpoint is the API address that teams use, as a name in Zone, with the
	// address of either side. Without it the endpoint does not change sides.
	// +optional
	Endpoint *Endpoint `json:"endpoint,omitempty"`
}

// A DNSService holds a zone and accepts its changes.
type DNSService struct {
	// Servers are the zone's authoritative servers, as host:port.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=set
	Servers []string `json:"servers"`
	// Names are the host names of the servers, as delegations write them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=set
	Names []string `json:"names"`
	// RFC2136 is where changes are sent.
	RFC2136 RFC2136 `json:"rfc2136"`
}

// RFC2136 is a primary server that takes dynamic updates (RFC 2136) signed by
// TSIG (RFC 8945).
type RFC2136 struct {
	// Server is the primary, as host:port.
	// +kubebuilder:validation:MinLength=1
	Server string `json:"server"`
	// KeyName is the name of the TSIG key.
	// +kubebuilder:validation:MinLength=1
	KeyName string `json:"keyName"`
	// KeySecret holds the key, base64 as in a BIND key file.
	KeySecret SecretKey `json:"keySecret"`
}

// An Endpoint is the address of the API that teams use.
type Endpoint struct {
	// Name is a name in the zone whose A record leads to the API server.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// Source and Target are the addresses of the API server of either side.
	// +kubebuilder:validation:MinLength=1
	Source string `json:"source"`
	// +kubebuilder:validation:MinLength=1
	Target string `json:"target"`
}

// Shift says how capacity changes sides.
type Shift struct {
	// SharePercent is the share of a workload's serving capacity that stands in
	// the target at the end of the stage Shift.
	// +optional
	// +kubebuilder:default=50
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99
	SharePercent int32 `json:"sharePercent,omitempty"`

	// MaxTotalPercent bounds the capacity of both sides together, in percent of
	// the wanted replicas; one replica more than wanted is always allowed.
	// +optional
	// +kubebuilder:default=125
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=200
	MaxTotalPercent int32 `json:"maxTotalPercent,omitempty"`

	// Warm is how many pods of each workload are started in the target at Prepare.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Warm int32 `json:"warm,omitempty"`

	// SettleSeconds is how long a pod must have been ready, and bridged to the
	// other side, before a pod of the other side is given up for it.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	SettleSeconds int32 `json:"settleSeconds,omitempty"`

	// ReadyMinutes is how long a workload's new pods may take to become ready in
	// the receiving cluster before its app is quarantined.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1440
	ReadyMinutes int32 `json:"readyMinutes,omitempty"`
}

// A FreezePolicy says when teams' changes are refused.
type FreezePolicy struct {
	// Window is Sitting (from Snapshot to Release) or Handover (only around the
	// writer's hand-over, for seconds).
	// +optional
	// +kubebuilder:default=Handover
	Window FreezeWindow `json:"window,omitempty"`
	// Contact is where a refused person can ask.
	// +optional
	// +kubebuilder:default="your platform team"
	// +kubebuilder:validation:MaxLength=200
	Contact string `json:"contact,omitempty"`
	// MaxMinutes is how long a freeze may last before it is lifted.
	// +optional
	// +kubebuilder:default=240
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2880
	MaxMinutes int32 `json:"maxMinutes,omitempty"`
	// Exempt lists user names that may write during a freeze, as break-glass.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	Exempt []string `json:"exempt,omitempty"`
}

// Objectives bound what a user may notice.
type Objectives struct {
	// MarginPermille is by how many failed requests in a thousand the target may
	// be worse than the source; the judge passes only when more is ruled out.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MarginPermille int32 `json:"marginPermille,omitempty"`
	// ProbesPerSecond is the rate at which each public name is asked on either
	// side.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	ProbesPerSecond int32 `json:"probesPerSecond,omitempty"`
}

// An Archive is the source, kept in object storage.
type Archive struct {
	// URL is the bucket, as gocloud.dev/blob writes it.
	// +kubebuilder:validation:MinLength=1
	URL string `json:"url"`
	// RehearseIn names the Cluster, empty of the estate, in which the archive is
	// restored and compared. Without it the gate is Held until it is waived.
	// +optional
	RehearseIn string `json:"rehearseIn,omitempty"`
	// Recipients are the age recipients (age-encryption.org) to whom the archive's
	// Secrets are encrypted. Without any, the archive holds no Secrets' data.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=20
	Recipients []string `json:"recipients,omitempty"`
	// Identity names the Secret key that holds the age identity of one recipient, so
	// that a rehearsal can restore the Secrets too.
	// +optional
	Identity *SecretKey `json:"identity,omitempty"`
}

// A Decision settles how a workload moves.
type Decision struct {
	// Workload is kind/namespace/name, for example Deployment/shop/cart. A star
	// as the name stands for every workload of the kind in the namespace, and as
	// the namespace for every namespace.
	// +kubebuilder:validation:Pattern=`^[A-Za-z]+/[a-z0-9.*-]+/[a-z0-9.*-]+$`
	Workload string `json:"workload"`
	Decide   Decide `json:"decide"`
	// +optional
	By string `json:"by,omitempty"`
	// +optional
	Reason string `json:"reason,omitempty"`
}

// A Waiver lets a gate pass by name until it expires.
type Waiver struct {
	// +kubebuilder:validation:MinLength=1
	Gate string `json:"gate"`
	// +kubebuilder:validation:MinLength=1
	Reason string `json:"reason"`
	// +kubebuilder:validation:MinLength=1
	Owner   string      `json:"owner"`
	Expires metav1.Time `json:"expires"`
}

// MigrationStatus is how far a migration has come.
type MigrationStatus struct {
	// Stage is the stage under way, derived from the conditions.
	Stage Stage `json:"stage,omitempty"`
	// Reason is the reason of the condition of that stage.
	Reason Reason `json:"reason,omitempty"`
	// Message says what is waited for, in one sentence.
	Message string `json:"message,omitempty"`

	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Gates are the gates of the stage under way.
	// +listType=map
	// +listMapKey=name
	Gates []Gate `json:"gates,omitempty"`

	// Capacity is the share of the moving workloads' capacity that stands in the
	// target, in percent. Entry is the share of names that lead there.
	Capacity int32 `json:"capacity"`
	Entry    int32 `json:"entry"`
	// Writer and Endpoint are the side that teams' changes, and their API
	// address, lead to.
	Writer   Side `json:"writer,omitempty"`
	Endpoint Side `json:"endpoint,omitempty"`

	Apps   AppCounts    `json:"apps,omitempty"`
	Mirror MirrorStatus `json:"mirror,omitempty"`

	// Waits are moments that a gate waits for, by name, so that a restart does
	// not wait twice.
	// +listType=map
	// +listMapKey=name
	Waits []Moment `json:"waits,omitempty"`

	// Timeline is when each stage began and ended, in the order of events.
	// +listType=atomic
	Timeline []StageTime `json:"timeline,omitempty"`

	// FrozenSeconds is how long teams' changes were refused on both sides at once.
	FrozenSeconds int32 `json:"frozenSeconds,omitempty"`

	// Rollback says what the way back costs from here.
	Rollback RollbackCost `json:"rollback,omitempty"`

	// ObservedGeneration is the generation of spec that this status speaks of.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// AppCounts counts the apps of the estate.
type AppCounts struct {
	Total       int32 `json:"total"`
	Moving      int32 `json:"moving"`
	Staying     int32 `json:"staying"`
	Undecided   int32 `json:"undecided"`
	Quarantined int32 `json:"quarantined"`
	OnTarget    int32 `json:"onTarget"`
}

// MirrorStatus is how far the mirror follows.
type MirrorStatus struct {
	Objects   int32 `json:"objects"`
	Differing int32 `json:"differing"`
	// LagMillis is the age of the oldest write that is not yet confirmed, in
	// milliseconds; -1 while it is unknown.
	LagMillis int64 `json:"lagMillis"`
}

// A Gate is a named condition of a stage, with what was seen.
type Gate struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Reason  Reason  `json:"reason,omitempty"`
	// Observed and Limit are what was seen and what would pass.
	Observed string `json:"observed,omitempty"`
	Limit    string `json:"limit,omitempty"`
	// Waived tells by whom the gate is waived, until when and why; empty if it is not.
	Waived string `json:"waived,omitempty"`
}

// A Moment is a point in time that a gate waits for.
type Moment struct {
	Name  string           `json:"name"`
	Until metav1.MicroTime `json:"until"`
}

// StageTime is when a stage ran, in one direction.
type StageTime struct {
	Stage     Stage             `json:"stage"`
	Direction Direction         `json:"direction"`
	Started   metav1.MicroTime  `json:"started"`
	Finished  *metav1.MicroTime `json:"finished,omitempty"`
}

// RollbackCost says what the way back costs.
type RollbackCost struct {
	// Seconds is an estimate.
	Seconds int32 `json:"seconds,omitempty"`
	// Loses says what would be lost; normally "nothing".
	Loses string `json:"loses,omitempty"`
}

// MigrationList is a list of migrations.
//
// +kubebuilder:object:root=true
type MigrationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Migration `json:"items"`
}
