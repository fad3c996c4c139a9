"""A folder of a run, edited by somebody who knows how its digests are taken."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runner.config import fingerprint_of
from runner.system.errors import RecordError
from runner.tracking.records import FolderSource, Original
from runner.tracking.records.export_folder import METRICS, RUN
from runner.training.run_files import CONFIG, DIGESTS, metrics_sha256, sha256


@dataclass(frozen=True)
class Record:
    """An exported run. What is written into it gets the digests that an honest one would have."""

    folder: Path

    def read(self) -> Original:
        return Original.read(FolderSource(self.folder))

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / RUN).read_bytes())
        return found

    def tell(self, **facts: object) -> None:
        """Change what run.json says."""
        (self.folder / RUN).write_text(json.dumps(self.facts | facts))

    def tag(self, **tags: str) -> None:
        """Change tags; of `data_digest` that is ``runner.data_digest``."""
        named = {f"runner.{name}": value for name, value in tags.items()}
        self.tell(tags=self.facts["tags"] | named)

    def write(self, name: str, content: bytes) -> None:
        """Replace a file, and the digest of it on record."""
        (self.folder / name).write_bytes(content)
        tags = self.facts["tags"]
        digests = json.loads(tags[DIGESTS]) | {name: sha256(content)}
        self.tell(tags=tags | {DIGESTS: json.dumps(digests)})
        if name == METRICS:
            # Whoever cannot read them finds that out first.
            with suppress(RecordError):
                self.tag(metrics_sha256=metrics_sha256(FolderSource(self.folder).metrics()))

    def change(self, **sections: object) -> None:
        """Change settings in the config, and the key that they have on record."""
        values = yaml.safe_load((self.folder / CONFIG).read_bytes())
        for section, value in sections.items():
            both = isinstance(value, dict) and isinstance(values.get(section), dict)
            both = both and section != "data"  # other data have other settings
            values[section] = values[section] | value if both else value
        self.write(CONFIG, yaml.safe_dump(values).encode())
        with suppress(ValueError):  # numbers that no key can be made of
            self.tag(key=fingerprint_of(values, self.facts["tags"]["runner.data_digest"]))
