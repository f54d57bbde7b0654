# Two stages: one that installs, one that runs. The running one has a numeric user, no pip, no compiler, and needs no shell.
#
# Every package is pinned by hash in the locks. The base is pinned by tag; in your own registry pin it by digest too:
#   docker build --build-arg PYTHON=3.11-slim-bookworm@sha256:... .
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# What the running stage gets besides the code: the state's folder, which OpenShift's group 0 may write to as well.
RUN install -d -o 10001 -g 0 -m 0770 /state && install -d -m 0755 /pipelines
RUN python -m venv --without-pip /app
# Dependencies first: these layers change only with the locks.
COPY requirements.lock requirements-build.lock ./
# --python: scripts get the virtual environment's interpreter, which the second stage has at the same path.
# --no-compile: tools/slim.py compiles what runs. (PIP_NO_COMPILE=1 would mean the opposite.)
RUN pip --python /app/bin/python install --no-compile --require-hashes --requirement requirements.lock \
 && pip install --require-hashes --requirement requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY monitor ./monitor
COPY checks ./checks
COPY config/pipelines ./config/pipelines
COPY tools/slim.py ./tools/slim.py
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && pip --python /app/bin/python install --no-compile --no-deps --no-index /wheels/*.whl \
 && python tools/slim.py /app

FROM python:${PYTHON}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tripswitch" \
      org.opencontainers.image.description="Watches AWS data pipelines and contains their incidents" \
      org.opencontainers.image.source="https://github.com/tripswitch/tripswitch" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app /app
COPY --from=build /state /var/lib/tripswitch
COPY --from=build /pipelines /etc/tripswitch
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TRIPSWITCH_STORE=sqlite:////var/lib/tripswitch/state.db
USER 10001:10001
WORKDIR /var/lib/tripswitch
# The only places that are written to; with them as volumes the root may be read-only.
VOLUME ["/var/lib/tripswitch", "/tmp"]
EXPOSE 9108
# ECS and Kubernetes ignore this one and bring their own; plain Docker uses it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["tripswitch", "healthz"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tripswitch"]
CMD ["run", "/etc/tripswitch"]
