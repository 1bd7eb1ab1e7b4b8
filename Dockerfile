# One image for every service of docker-compose.yml; the command selects the service.
FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/gatepost
COPY requirements/run.txt requirements/run.txt
RUN pip --python /opt/gatepost/bin/python install --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY producer producer
COPY worker worker
COPY operations operations
COPY simulator simulator
COPY testing testing
RUN pip --python /opt/gatepost/bin/python wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/gatepost/bin/python install --no-deps dist/*.whl \
 && pip --python /opt/gatepost/bin/python uninstall --yes hatchling editables

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gatepost \
 && install --directory --owner gatepost --mode 700 /simulator
COPY --from=build /opt/gatepost /opt/gatepost
ENV PATH=/opt/gatepost/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The service reads nothing from the working directory, and writes only to /tmp.
WORKDIR /tmp
USER 10001:10001
# Warm shutdown: calls under way finish and are settled.
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "gatepost_worker", "worker", "--without-gossip", "--without-mingle"]
