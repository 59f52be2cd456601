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
