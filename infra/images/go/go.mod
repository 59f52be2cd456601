// The two small programs of the stand-in images; standard library only.
module airbed.local/infra/images/go

go 1.24
