# syntax=docker/dockerfile:1
# One image for every process of Tidegate; the command says which. Built and signed by .github/workflows/release.yml.
# The base is pinned by digest and moved by hand, after its release notes were read.
FROM python:3.13-slim-trixie@sha256:8d9d0b8bcf6506481eae4907c18f5e3e7902e629f5f6d684f9e7c32e85e3ddf0 AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/tidegate
COPY requirements.runtime.lock ./
# Wheels alone, and none that is not the one that was locked: nothing is compiled, and nothing runs at install time.
RUN /opt/tidegate/bin/pip install --require-hashes --only-binary :all: -r requirements.runtime.lock
COPY requirements.build.lock ./
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements.build.lock
COPY pyproject.toml README.md LICENSE ./
COPY tidegate/ tidegate/
COPY workflows/ workflows/
COPY activities/ activities/
COPY workers/ workers/
# Without the embedded world: what is not copied is not in the wheel, and its command would have nothing to start.
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/tidegate/bin/pip install --no-deps /wheels/*.whl \
 && rm /opt/tidegate/bin/tidegate-sandbox \
 && /opt/tidegate/bin/pip uninstall --yes pip \
 && /opt/build/bin/cyclonedx-py environment --of JSON -o /opt/tidegate/sbom.cdx.json /opt/tidegate/bin/python

FROM python:3.13-slim-trixie@sha256:8d9d0b8bcf6506481eae4907c18f5e3e7902e629f5f6d684f9e7c32e85e3ddf0
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tidegate" \
      org.opencontainers.image.description="Progressive delivery as durable Temporal workflows" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.tidegate.sbom="/opt/tidegate/sbom.cdx.json" \
      io.tidegate.sbom.format="application/vnd.cyclonedx+json"
# git puts images back after an abort; matplotlib and git want a place to write, which the pod gives them under /tmp.
# The digest of the base decides which versions of Debian packages there are.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
 && rm -rf /var/lib/apt/lists/* /usr/local/lib/python3.13/ensurepip \
 && python -m pip uninstall --yes pip
COPY --from=build /opt/tidegate /opt/tidegate
ENV PATH=/opt/tidegate/bin:$PATH \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8081 8082 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8081/healthz', timeout=2)"]
ENTRYPOINT ["tidegate-worker"]
