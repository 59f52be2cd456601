# The images that a Kubernetes node runs its control plane from, a program each. They live in the node image only.
# `programs` is the folder of scripts/standin-programs node, `control-plane` the one of airbed.kubernetes.build.
FROM scratch AS kube-apiserver
COPY --from=control-plane --chmod=0755 kube-apiserver /usr/local/bin/
ENV PATH=/usr/local/bin

FROM scratch AS kube-controller-manager
COPY --from=control-plane --chmod=0755 kube-controller-manager /usr/local/bin/
ENV PATH=/usr/local/bin

FROM scratch AS kube-scheduler
COPY --from=control-plane --chmod=0755 kube-scheduler /usr/local/bin/
ENV PATH=/usr/local/bin

FROM scratch AS etcd
COPY --from=control-plane --chmod=0755 etcd /usr/local/bin/
ENV PATH=/usr/local/bin

FROM scratch AS coredns
COPY --from=programs --chmod=0755 coredns /coredns
ENTRYPOINT ["/coredns"]

FROM scratch AS pause
COPY --from=programs --chmod=0755 pause /pause
ENTRYPOINT ["/pause"]

# It calls iptables, nft and conntrack.
FROM base AS kube-proxy
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    rm -f /etc/apt/apt.conf.d/docker-clean && apt-get -qq update && \
    apt-get -qq install -y --no-install-recommends iptables nftables conntrack kmod && rm -rf /usr/share/doc /usr/share/man /var/log/*
COPY --from=programs --chmod=0755 kube-proxy /usr/local/bin/
