// The images that are built here. scripts/images builds what is needed and gives the variables.
// `stand-ins` and `kind` replace public images where none can be pulled, under names of their own; `public` is the one
// image that is built on a public one.

variable "BASE_IMAGE" { default = "airbed-standin/debian:trixie" }
variable "BUILD_CA_FILE" { default = "/dev/null" }
variable "BUILD_ENVIRONMENT_FILE" { default = "/dev/null" }
variable "CORE_PROGRAMS" { default = "." }
variable "NODE_PROGRAMS" { default = "." }
variable "NODE_IMAGES" { default = "." }
variable "KUBERNETES_PROGRAMS" { default = "." }
variable "KIND_FILES" { default = "." }
// A digest of what the set is made from: scripts/images builds anew when it is another one.
variable "KEY" { default = "" }
variable "KUBERNETES_VERSION" { default = "v1.35.4" }

group "stand-ins" { targets = ["airflow", "postgres", "seaweedfs", "moto", "toxiproxy", "hello"] }
group "cluster" { targets = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd", "coredns", "pause"] }

target "_stand-in" {
  context  = "infra/images"
  contexts = { base = "docker-image://${BASE_IMAGE}", programs = CORE_PROGRAMS, scripts = "scripts", lock = "." }
  secret   = ["id=ca,src=${BUILD_CA_FILE}", "id=environment,src=${BUILD_ENVIRONMENT_FILE}"]
  labels   = { "airbed.stand-in" = KEY }
}
target "airflow" {
  inherits = ["_stand-in"]
  target   = "airflow"
}
target "postgres" {
  inherits = ["_stand-in"]
  target   = "postgres"
}
target "seaweedfs" {
  inherits = ["_stand-in"]
  target   = "seaweedfs"
}
target "moto" {
  inherits = ["_stand-in"]
  target   = "moto"
}
target "toxiproxy" {
  inherits = ["_stand-in"]
  target   = "toxiproxy"
}
target "hello" {
  inherits = ["_stand-in"]
  target   = "hello"
}

target "_cluster" {
  context    = "infra/images/kind-node"
  dockerfile = "cluster.Dockerfile"
  contexts   = { base = "docker-image://${BASE_IMAGE}", programs = NODE_PROGRAMS, control-plane = KUBERNETES_PROGRAMS }
}
target "kube-apiserver" {
  inherits = ["_cluster"]
  target   = "kube-apiserver"
}
target "kube-controller-manager" {
  inherits = ["_cluster"]
  target   = "kube-controller-manager"
}
target "kube-scheduler" {
  inherits = ["_cluster"]
  target   = "kube-scheduler"
}
target "kube-proxy" {
  inherits = ["_cluster"]
  target   = "kube-proxy"
}
target "etcd" {
  inherits = ["_cluster"]
  target   = "etcd"
}
target "coredns" {
  inherits = ["_cluster"]
  target   = "coredns"
}
target "pause" {
  inherits = ["_cluster"]
  target   = "pause"
}
target "kind-node" {
  context = "infra/images/kind-node"
  contexts = {
    base          = "docker-image://${BASE_IMAGE}"
    programs      = NODE_PROGRAMS
    control-plane = KUBERNETES_PROGRAMS
    kind-files    = KIND_FILES
    images        = NODE_IMAGES
  }
  args   = { KUBERNETES_VERSION = KUBERNETES_VERSION }
  labels = { "airbed.stand-in" = KEY }
}

// Airflow on the public image: docker-compose.yaml builds the same by itself.
target "public" {
  context  = "infra/images/airflow"
  contexts = { lock = "." }
  tags     = ["airbed/airflow:3.3.2"]
}
