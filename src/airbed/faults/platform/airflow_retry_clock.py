"""`airflow.retry-clock`: instances wait for their next try another time than their DAG says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.errors import UsageError
from airbed.faults.model import Fault, Level, Plan
from airbed.faults.postgres import ask, end_sessions, superuser

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from airbed.bed import Bed

# SECURITY DEFINER: Airflow's own role may not write to the fault's schema. The column is Airflow's own: what a retry
# policy decides stands there too, and Airflow empties it when the next try starts. An instance gets a new id when it
# begins to wait, so that it is known by its names. Triggers of one table fire in the order of their names: the youngest
# fault must come last.
_SETUP = """
    LOCK TABLE task_instance IN SHARE ROW EXCLUSIVE MODE;
    CREATE SCHEMA {key};
    CREATE TABLE {key}.waits (dag_id text, run_id text, task_id text, map_index int, try_number int, before float8,
                              PRIMARY KEY (dag_id, run_id, task_id, map_index, try_number));
    CREATE FUNCTION {key}.set_clock() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO {key}.waits
        VALUES (NEW.dag_id, NEW.run_id, NEW.task_id, NEW.map_index, NEW.try_number, NEW.retry_delay_override)
            ON CONFLICT DO NOTHING;
        NEW.retry_delay_override := {seconds};
        RETURN NEW;
    END $$;
    CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE OF state ON task_instance FOR EACH ROW
        WHEN (NEW.state = 'up_for_retry' AND NEW.dag_id = coalesce({dag_id}, NEW.dag_id)
              AND NEW.task_id = coalesce({task_id}, NEW.task_id))
        EXECUTE FUNCTION {key}.set_clock();
    UPDATE task_instance SET state = state WHERE state = 'up_for_retry';
"""
_LOCK = "LOCK TABLE task_instance IN ACCESS EXCLUSIVE MODE"
# A younger fault stays in force: what it will put back is what this one would have put back now.
_HAND_ON = """
    WITH handed AS (
        UPDATE {younger}.waits y SET before = w.before FROM {key}.waits w
         WHERE (y.dag_id, y.run_id, y.task_id, y.map_index, y.try_number)
               = (w.dag_id, w.run_id, w.task_id, w.map_index, w.try_number)
        RETURNING w.dag_id, w.run_id, w.task_id, w.map_index, w.try_number)
    DELETE FROM {key}.waits w USING handed h
     WHERE (w.dag_id, w.run_id, w.task_id, w.map_index, w.try_number)
           = (h.dag_id, h.run_id, h.task_id, h.map_index, h.try_number);
"""
_TAKE_BACK = """
    UPDATE task_instance t SET retry_delay_override = w.before FROM {key}.waits w
     WHERE (w.dag_id, w.run_id, w.task_id, w.map_index, w.try_number)
           = (t.dag_id, t.run_id, t.task_id, t.map_index, t.try_number) AND t.state = 'up_for_retry';
    DROP SCHEMA {key} CASCADE;
"""


class RetryClock(Fault):
    """Instances that wait for a retry, now or later, are tried again `seconds` after the end of their last try.

    The delay of the DAG, its backoff, its retry policy and the bed's time scale no longer count: 0 means at once, 3600
    that nothing is tried again while you look. At the end those that still wait have their own delay again. Where two
    of these faults are about one instance, the younger one counts.
    """

    kind: ClassVar[str] = "airflow.retry-clock"
    level: ClassVar[Level] = "platform"
    summary: ClassVar[str] = "instances wait for their next try longer or shorter than their DAG says"
    example: ClassVar[dict[str, Any]] = {"seconds": 60, "dag_id": "resilient_processing"}

    seconds: float = Field(ge=0, le=86400, description="from the end of a try to the next one, in seconds of the bed")
    dag_id: str | None = Field(None, description="only this DAG")
    task_id: str | None = Field(None, description="only this task")

    def check(self, bed: Bed) -> None:
        """Refuse a DAG that Airflow does not know."""
        dags = [name for (name,) in ask(bed, "metadata", "SELECT dag_id FROM dag WHERE NOT is_stale ORDER BY 1")]
        if self.dag_id is not None and self.dag_id not in dags:
            raise UsageError(f"there is no DAG '{self.dag_id}' on this bed; it has: {', '.join(dags) or 'none'}")

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Let the metadata database set the delay of whoever begins to wait, and of those who do."""
        with superuser(bed, "metadata", plan["key"]) as session, session.transaction():
            names = {"trigger": _trigger(plan), "key": _schema(plan)}
            _execute(session, _SETUP, **names, seconds=self.seconds, dag_id=self.dag_id, task_id=self.task_id)

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Give those who wait their own delay back."""
        end_sessions(bed, "metadata", plan["key"])
        with superuser(bed, "metadata") as session, session.transaction():
            if _is_there(session, plan):
                _execute(session, _LOCK)
                for younger in _younger(session, plan):
                    _execute(session, _HAND_ON, key=_schema(plan), younger=younger)
                _execute(session, _TAKE_BACK, key=_schema(plan))

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """How many waits were given another length."""
        from psycopg import sql

        with superuser(bed, "metadata") as session:
            if not _is_there(session, plan):
                return 0
            table = sql.Identifier(plan["key"], "waits")
            row = session.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
        return int(row[0]) if row else 0


def _is_there(session: psycopg.Connection[Any], plan: Plan) -> bool:
    return session.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [plan["key"]]).fetchone() is not None


def _younger(session: psycopg.Connection[Any], plan: Plan) -> list[sql.Identifier]:
    """The schemas of the retry clocks that were set after this one, oldest first."""
    from psycopg import sql

    rows = session.execute(
        "SELECT schemaname FROM pg_tables WHERE tablename = 'waits' AND schemaname ~ '^airbed-f[0-9]+$'"
    ).fetchall()
    names = sorted((str(name) for (name,) in rows), key=_number)
    return [sql.Identifier(name) for name in names if _number(name) > _number(plan["key"])]


def _number(key: str) -> int:
    return int(key.rpartition("f")[2])


def _schema(plan: Plan) -> sql.Identifier:
    from psycopg import sql

    return sql.Identifier(plan["key"])


def _trigger(plan: Plan) -> sql.Identifier:
    from psycopg import sql

    return sql.Identifier(f"airbed-f{_number(plan['key']):09d}")


def _execute(session: psycopg.Connection[Any], template: Any, **values: Any) -> None:
    from psycopg import sql

    # Airflow writes to the table all the time; whoever waits for it too long would keep Airflow waiting.
    session.execute("SET LOCAL lock_timeout = '15s'")
    session.execute(sql.SQL(template).format(**values))
