# The license server as an image: the build stage makes the environment, the last stage only carries it.
ARG PYTHON_IMAGE=python:3.13.16-slim-trixie

# Debian signs the package that holds the key of PostgreSQL's own repository, so the key is as genuine as Debian;
# the fingerprint says which key is meant.
FROM ${PYTHON_IMAGE} AS postgresql-key
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PGDG_KEY=/usr/share/postgresql-common/pgdg/apt.postgresql.org.asc
# Versions are not pinned: Debian removes superseded ones, and each update would break the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gpg postgresql-common \
    && rm -rf /var/lib/apt/lists/*
RUN test "$(gpg --show-keys --with-colons "$PGDG_KEY" | awk -F: '$1 == "fpr" { print $10 }')" \
        = B97B0AFCAA1A47F044F244A07FCC7D46ACCC4CF8

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /srv/license-server
# pip and the build tools stay outside of the environment that is shipped.
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --require-hashes --no-deps --only-binary :all: \
        --requirement requirements.lock
# The build tools alone, with their hashes; one that is missing here makes pip refuse.
RUN awk '/^[a-z]/ { wanted = /^(editables|hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } wanted' \
        requirements-dev.lock > build.lock \
    && pip install --target /opt/build --require-hashes --only-binary :all: --requirement build.lock
COPY pyproject.toml README.md ./
COPY app app
COPY migrations migrations
# Installed in place, as in development: the migrations stay the neighbour of app/.
RUN PYTHONPATH=/opt/build pip --python /opt/venv/bin/python install --no-deps --no-build-isolation --no-index \
        --editable . \
    && pip --python /opt/venv/bin/python check \
    && rm -- *.lock README.md \
    && python -m compileall -q --invalidation-mode unchecked-hash app migrations \
    && chmod -R u=rwX,go=rX .

FROM ${PYTHON_IMAGE}
ARG VERSION=1.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="iTechSmart License Server" \
      org.opencontainers.image.description="A license server that runs itself" \
      org.opencontainers.image.vendor="iTechSmart" \
      org.opencontainers.image.licenses="LicenseRef-Proprietary" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=postgresql-key /usr/share/postgresql-common/pgdg/apt.postgresql.org.asc /usr/share/keyrings/
COPY deploy/container/pgdg.sources /etc/apt/sources.list.d/
# The user has a name because initdb of the embedded PostgreSQL looks its own name up.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client-18 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 license-server \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /data \
        --shell /usr/sbin/nologin license-server \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data /backups

COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/license-server /srv/license-server

# PostgreSQL's own folder comes before /usr/bin, where the same names are Debian's wrappers.
ENV PATH=/opt/venv/bin:/usr/lib/postgresql/18/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    DATA_DIR=/data

WORKDIR /srv/license-server
USER 10001:10001
VOLUME ["/data"]
EXPOSE 3001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["license-server", "healthcheck"]
ENTRYPOINT ["license-server"]
CMD ["serve"]
