"""An exported folder, edited by somebody who may know how its digests are taken."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.system.errors import RecordError
from runner.tracking.records import ExportedRun, Record
from runner.tracking.records.export_folder import RUN
from runner.training.run_files import CONFIG, RECORD, record_digests, sha256


@dataclass(frozen=True)
class EditedFolder:
    """An exported run to be edited; `write`, `tag` and `change` let its digests fit again."""

    path: Path

    def read(self) -> Record:
        return Record.read(ExportedRun(self.path))

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.path / RUN).read_bytes())
        return facts

    def tell(self, **facts: object) -> None:
        """Change what run.json says."""
        (self.path / RUN).write_text(json.dumps(self.facts | facts))

    def untag(self, *names: str) -> None:
        """Delete tags."""
        tags = self.facts["tags"]
        self.tell(tags={name: tags[name] for name in tags if name not in names})

    def tag(self, **tags: str) -> None:
        """Change tags; of `data_digest` that is ``runner.data_digest``."""
        named = {f"runner.{name}": value for name, value in tags.items()}
        self.tell(tags=self.facts["tags"] | named)
        self.match()

    def write(self, name: str, content: bytes) -> None:
        """Replace a file."""
        (self.path / name).write_bytes(content)
        self.match()

    def change(self, **sections: object) -> None:
        """Change settings in the config."""
        values = json.loads((self.path / CONFIG).read_bytes())
        for section, value in sections.items():
            both = isinstance(value, dict) and isinstance(values.get(section), dict)
            both = both and section != "data"  # other data have other settings
            values[section] = values[section] | value if both else value
        self.write(CONFIG, json.dumps(values).encode())

    def match(self) -> None:
        """Let the digests on record be those of what is in the folder."""
        files = {path.name: sha256(path.read_bytes()) for path in self.path.iterdir()}
        with suppress(RecordError):  # whoever cannot read the metrics does not come to digests
            metrics = ExportedRun(self.path).metrics
            facts = self.facts
            digests = record_digests(files | facts["tags"], metrics, facts["failure"])
            self.tell(tags=facts["tags"] | {RECORD: digests})
